"""A language model as judge: what it is asked, how its answers are kept, read and counted."""
