"""The recipe built again by several builders under other conditions; who agrees on what. Not part of any run."""
