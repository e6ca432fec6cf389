"""Hostile input for every reader: `nox -s fuzz`, and a short form in the ordinary test run."""
