"""Gates: pure judgements over what the stages measured. `verdict.py` holds their one type."""
