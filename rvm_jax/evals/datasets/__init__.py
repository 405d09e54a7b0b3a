"""Data sets as their authors give them out, read where they lie."""
