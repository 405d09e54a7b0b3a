"""Weights in and out: the released `.npz` layout."""

from rvm_jax.weights.released import load as load
from rvm_jax.weights.released import save_npz as save_npz
