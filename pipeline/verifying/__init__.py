"""Is a release what it says of itself? Offline, and without believing any paper that another could prove."""
