"""An objective and a stream of batches that take no time, for tests of runs.

The objective learns the mean of the rows of numbers. The stream numbers all its
rows, and the number of a row is its clip. So clips tell which rows a run has
seen.
"""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tests import tiny

BATCH_SIZE = 4
WIDTH = 1024


class Regression:
  """Predicts every row of the numbers by the same parameters."""

  flops_per_clip = None

  def __init__(self, dtype=jnp.float32):
    self.dtype = dtype
    self.batch = {
        'numbers': jax.ShapeDtypeStruct((BATCH_SIZE, WIDTH), np.float32)
    }

  def init(self, rng):
    return {'mean': {'kernel': jax.random.normal(rng, (WIDTH,))}}

  def sample(self, rng, batch):
    noise = 0.1 * jax.random.normal(rng, batch['numbers'].shape)
    return (batch['numbers'] + noise,)

  def loss(self, params, numbers):
    kernel = params['mean']['kernel'].astype(self.dtype)
    error = numbers.astype(self.dtype) - kernel[None]
    return jnp.square(error).mean(dtype=jnp.float32)

  def cast(self, params):
    return params

  def is_core(self, path):
    return False


class Numbers:
  """Endless batches of numbers around 1, `scale` times as large at `spikes`.

  Attributes:
    at: number of batches taken.
  """

  def __init__(self, spikes=(), scale=100.0, end=None, is_nan=False):
    """Sets what is unusual, in steps counted from 1.

    Args:
      spikes: the steps whose numbers are larger.
      scale: factor by which they are larger.
      end: the step at which the stream fails with `Interrupted`.
      is_nan: whether the numbers of the spikes are NaN.
    """
    self.spikes, self.scale, self.end = spikes, scale, end
    self.is_nan = is_nan
    self.at = 0

  def iterator(self):
    self.at = 0
    return self

  def __next__(self):
    self.at += 1
    if self.at == self.end:
      raise Interrupted
    rng = np.random.default_rng(self.at)
    numbers = rng.normal(1, 0.1, (BATCH_SIZE, WIDTH)).astype(np.float32)
    if self.at in self.spikes:
      numbers *= np.nan if self.is_nan else self.scale
    return {
        'numbers': numbers,
        'clip': BATCH_SIZE * self.at + np.arange(BATCH_SIZE),
        'skipped': np.zeros(BATCH_SIZE, np.int32),
    }

  def describe(self, clip):
    return f'clip {int(clip)}'

  def get_state(self):
    return {'at': self.at}

  def set_state(self, state):
    self.at = state['at']

  def close(self):
    pass


class Interrupted(Exception):
  """The stream has failed."""


def get_config(policy='none', window=8, sigmas=6.0, **changes):
  """Returns the config of a run of 30 steps."""
  config = tiny.get_config()
  config.objective = 'regression'
  config.model = ml_collections.ConfigDict()
  config.num_steps = config.eval_every = 30
  config.log_every = 1
  config.data.batch_size = BATCH_SIZE
  config.checkpoint.save_every = 5
  config.spikes.update(policy=policy, window=window, sigmas=sigmas)
  config.update(changes)
  return config
