"""Metrics that compare predictions with ground truth, in NumPy on the host."""
