"""Kinetics-700-2020: the class of a video, by a trained readout."""

from rvm_jax.evals.benchmarks import classification
from rvm_jax.evals.datasets import kinetics

TASK = classification.make_task(
    'Kinetics-700 top-1', kinetics.read, ('train', 'val'), num_classes=700
)
