"""A release built again from its own papers, and what several builders got held against each other."""
