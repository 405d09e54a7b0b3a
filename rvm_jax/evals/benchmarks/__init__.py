"""Benchmarks: each scores a frozen encoder on a data set of videos."""
