"""Tiny runs of the objectives that RVM's is compared with, as `tests.tiny`."""

import numpy as np

from rvm_jax.training import objectives
from tests import tiny

NAMES = ('joint', 'siammae', 'videomae', 'vjepa')


def get_config(name, **changes):
  """Returns the config of a run of an objective.

  Args:
    name: the objective, one of `NAMES`.
    **changes: settings by their paths.
  """
  config = tiny.get_config()
  config.objective = name
  config.optimizer.learning_rate = 4e-3
  if name != 'joint':
    for key in ('core_layers', 'core_heads', 'core_mlp', 'content_first'):
      del config.model[key]
  if name == 'siammae':
    config.data.num_source = 1
  if name in ('videomae', 'vjepa'):
    config.data.update(num_source=4, num_target=1, min_gap=1, max_gap=1)
  if name == 'vjepa':
    config.mask_ratio = 0.0
    config.ema_decay = 0.9
    for key in ('width', 'layers', 'heads', 'mlp'):
      config.model[f'predictor_{key}'] = config.model[f'decoder_{key}']
      del config.model[f'decoder_{key}']
  config.update_from_flattened_dict(changes)
  return config


def make(name, **changes):
  """Returns an objective, see `get_config`."""
  return objectives.from_config(get_config(name, **changes))


def make_batch(objective):
  """Returns random arrays of an objective's shapes."""
  rng = np.random.default_rng(0)
  most = {'source': 256, 'target': 256, 'deltas': 60}
  return {
      key: rng.integers(0, most[key], x.shape).astype(x.dtype)
      for key, x in objective.batch.items()
  }
