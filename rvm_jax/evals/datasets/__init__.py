"""Readers of public data sets, in the folders that their authors publish."""
