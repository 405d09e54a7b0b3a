"""Models for programs outside this project: `python -m rvm_jax.export`."""
