"""The release folder: a model with the papers that say what it is and how it was made."""
