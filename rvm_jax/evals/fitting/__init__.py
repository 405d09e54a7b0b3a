"""Heads fitted to features of a frozen encoder, and scored."""
