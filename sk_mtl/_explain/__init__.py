"""Explanations of predictions: what each feature adds to a probability."""
