"""What runs in processes of its own, with torch, or with one build of llama.cpp."""
