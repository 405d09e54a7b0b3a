"""Features of whole videos, written to disk."""
