"""Reproducible builds of fine-tuned language models: raw text rows in, a released GGUF out."""
