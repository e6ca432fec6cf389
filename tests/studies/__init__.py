"""Questions that many real trainings answer: which of v1's suspects spoil a model, how far sound runs reach."""
