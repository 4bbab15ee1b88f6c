"""Rigdrop: video of people in, animated rigged characters out."""

__version__ = "0.1.0"
