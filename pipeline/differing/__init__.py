"""How two artifacts differ, file by file: JSON by field, rows by row, tensors by number, the rest by byte."""
