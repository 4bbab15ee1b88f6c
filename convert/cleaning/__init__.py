"""What clean-up does, one stage or filter a file."""
