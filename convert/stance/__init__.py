"""Where feet stand, and how legs reach there."""
