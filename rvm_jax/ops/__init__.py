"""Array functions that have no learned parameters."""
