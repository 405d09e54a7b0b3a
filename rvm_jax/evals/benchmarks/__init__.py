"""Benchmarks: a feature function in, scores out."""
