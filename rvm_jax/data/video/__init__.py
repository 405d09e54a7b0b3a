"""Video files: listing them, indexing them, and reading exact frames."""
