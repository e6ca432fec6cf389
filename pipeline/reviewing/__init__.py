"""Prepared rows on a local page, for the eye of a person who may overrule the cleaning."""
