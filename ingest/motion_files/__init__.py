"""Readers of motion that others recorded or estimated, one file each."""
