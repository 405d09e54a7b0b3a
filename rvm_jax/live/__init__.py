"""Shows in a browser what a model sees, and tracks what the user clicks."""
