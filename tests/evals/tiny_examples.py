"""Generated examples of two classes, red and blue clips, with a tiny head."""

import dataclasses
import functools

from flax import linen as nn
import jax
import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.encoders import pixels


@dataclasses.dataclass(frozen=True)
class Record:
  """A record of two frames of 8 x 16 pixels: noise with a bright colour.

  Even numbers are red and of class 0, odd numbers are blue and of class 1.
  """

  number: int
  files: tuple[str, ...] = ()
  is_broken: bool = False

  @property
  def name(self) -> str:
    return f'clip {self.number}'

  def read(self, rng) -> dict[str, np.ndarray]:
    if self.is_broken:
      raise ValueError('no clip')
    noise = np.random.default_rng(self.number if rng is None else rng)
    frames = noise.integers(0, 100, (2, 8, 16, 3), np.uint8)
    label = self.number % 2
    frames[..., 2 * label] += 100
    return {'frames': frames, 'label': np.int32(label)}


def records(count, broken=()) -> list[Record]:
  """Returns records 0 to `count` - 1; those in `broken` cannot be read."""
  return [Record(i, is_broken=i in broken) for i in range(count)]


class Head(nn.Module):
  """A linear classifier of the mean over all patches."""

  width: int = 2

  ground_truth_keys = ('label',)

  @nn.compact
  def __call__(self, features, batch):
    del batch
    return nn.Dense(self.width)(features.mean((1, 2)))

  def loss(self, outputs, batch):
    hot = jax.nn.one_hot(batch['label'], self.width)
    return -(hot * jax.nn.log_softmax(outputs)).sum(-1)

  def decode(self, outputs, batch):
    del batch
    return {'probabilities': jax.nn.softmax(outputs)}


@functools.cache
def encoder() -> encoder_lib.FrozenEncoder:
  """Returns an encoder of plain pixels, D = 192, two patches a frame."""
  return pixels.make(8)
