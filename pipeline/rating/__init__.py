"""Human ratings: two answers to one prompt, blind, and which of them a person prefers."""
