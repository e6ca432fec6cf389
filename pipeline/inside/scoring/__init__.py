"""What answers are scored with: words, likeness to references, Japanese, variety, and how sure a difference is."""
