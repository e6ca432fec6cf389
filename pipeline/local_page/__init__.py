"""What the pages that this tool serves have in common: who may ask, how it is answered."""
