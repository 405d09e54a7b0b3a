"""Recurrent core against self-attention over all source frames: 2 jobs.

The paper's ablations are of size S after 250 k steps: launch the sweep with
--config=configs/rvm_small.py --config.num_steps=250000.
"""


def sweep():
  """Yields the overrides of each run of the sweep."""
  for objective in ('rvm', 'joint'):
    yield {'objective': objective}
