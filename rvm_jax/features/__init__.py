"""Features of whole videos on disk: `python -m rvm_jax.features`."""
