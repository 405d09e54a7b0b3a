"""The benchmark on generated scenes, which needs no files."""
