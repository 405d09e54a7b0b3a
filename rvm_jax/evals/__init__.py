"""Benchmarks that measure how good the features of a frozen encoder are."""
