"""Rivals of RVM: frozen encoders of other projects, with their weights."""
