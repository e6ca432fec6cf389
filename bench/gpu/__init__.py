"""What only a graphics card can answer: `python -m bench.gpu` (docs/benchmarks.md, "On a card").

Every part is a process of its own, with a limit of its own. What a part found is written before the next one starts.
"""
