"""Something-Something v2: the class of a video, by a trained readout."""

from rvm_jax.evals.benchmarks import classification
from rvm_jax.evals.datasets import ssv2

TASK = classification.make_task(
    'SSv2 top-1', ssv2.read, ('train', 'validation'), num_classes=174
)
