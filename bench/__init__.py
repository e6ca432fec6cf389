"""Benchmarks: `nox -s bench`. What is measured is printed as tables and kept in `docs/benchmarks.md`."""
