"""Executors start jobs. They share one contract (`contract.py`) and one set of contract tests."""
