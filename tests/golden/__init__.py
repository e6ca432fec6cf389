"""Golden digests: the sha256 of every file that a shipped recipe makes; one file for each recipe that runs anywhere."""
