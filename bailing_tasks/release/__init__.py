"""Releases: what is checked, uploaded and compared before a tag moves, and written down."""
