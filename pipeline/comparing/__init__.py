"""Two runs side by side: what differs between them, as data, and what became different by it."""
