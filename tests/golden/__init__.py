"""Golden digests: the sha256 of every file that the recipe `seedling` makes."""
