"""Runs that are killed again and again: `nox -s chaos`."""
