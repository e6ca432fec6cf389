"""The report: Markdown from what the stages published. Standard library only, the same bytes every time."""
