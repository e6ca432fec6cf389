"""The one pinned llama.cpp: fetched, verified, unpacked and built from a single source archive."""
