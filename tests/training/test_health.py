"""The checks of a step's values."""

import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.training import health


class FakePipeline:
  """Describes a clip by its number."""

  def describe(self, clip):
    return f'clip {int(clip)}'


class FakeCheckpoints:
  """Knows one checkpoint."""

  def last_saved(self):
    return '/run/checkpoints/12'


def check(**metrics):
  sound = dict(loss=0.5, gradient_norm=1.0, update_norm=0.1)
  metrics = {key: jnp.float32(x) for key, x in (sound | metrics).items()}
  clips = np.array([3, 5])
  health.check_finite(13, metrics, clips, FakePipeline(), FakeCheckpoints())


def test_check_finite_accepts_finite_values():
  check()


@pytest.mark.parametrize('key', ['loss', 'gradient_norm', 'update_norm'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_check_finite_names_value_clips_and_checkpoint(key, value):
  with pytest.raises(health.NonFiniteError) as caught:
    check(**{key: value})
  message = str(caught.value)
  for part in ('step 13', key, 'clip 3', 'clip 5', '/run/checkpoints/12'):
    assert part in message
