"""Which part of a GGUF file fits a graphics card, and how fast the card could read it."""
