"""The interface of frozen encoders, and the encoders that implement it."""
