"""Packed clips: videos cut, scaled and stored for fast reading."""
