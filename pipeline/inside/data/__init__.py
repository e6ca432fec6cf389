"""The data room: reading, cleaning, duplicates, split and audit of the rows to learn from."""
