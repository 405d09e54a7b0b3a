"""Propagates masks and joints from the first frame to all, without training."""
