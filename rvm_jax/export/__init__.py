"""Models out of this project: `python -m rvm_jax.export`."""
