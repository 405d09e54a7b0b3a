"""The RVM model and its parts, as modules of Flax linen."""
