"""Getting base models and rows from outside: the only part of a build that may use a network."""
