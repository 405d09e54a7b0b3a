"""Pictures and movies of what a model computes for a video."""
