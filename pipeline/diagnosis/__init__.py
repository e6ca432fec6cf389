"""What broke the model? Healthy or not, form by form; hence the step, the causes by likelihood, and what to change."""
