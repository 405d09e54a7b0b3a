"""Records that cannot be read are replaced, counted, and named once."""

import numpy as np
import pytest

from rvm_jax.data import frame_sampling
from rvm_jax.data import sampler
from rvm_jax.data.video import reader


class Numbers:
  """Ten videos of 30 frames, of which some are broken; pixels tell which."""

  def __init__(self, broken):
    self._broken = broken
    self._num_read = 0

  def __len__(self):
    return 10

  def __getitem__(self, index):
    def read(numbers):
      self._num_read += 1
      if index in self._broken:
        raise reader.BrokenVideo(f'/{index}.mp4', f'read {self._num_read}')
      assert list(numbers) == sorted(set(numbers))
      pixels = np.stack([np.full(len(numbers), index), numbers], axis=-1)
      frames = np.zeros((len(numbers), 8, 8, 3), np.uint8)
      frames[..., :2] = pixels[:, None, None]
      return frames

    return {
        'clip': np.array([index, 0]),
        'num_frames': 30,
        'window': (0, 30),
        'frame_rate': 25.0,
        'read': read,
    }


def build(broken):
  source = Numbers(broken)
  spacing = frame_sampling.Spacing(2, 6, 1, 1, 4)  # six targets on four gaps
  make = sampler.Sampler(
      3, source, spacing, 8, 8, (1.0, 1.0), (1.0, 1.0), flip=0.0
  )
  return lambda index, seed: make(source[index], np.random.default_rng(seed))


def test_each_frame_lands_at_its_place():
  for seed in range(20):
    sample = build(())(7, seed)
    first = sample['clip'][2]
    assert sample['clip'][:2].tolist() == [3, 7]
    assert sample['source'][:, 0, 0].tolist() == [
        [7, first, 0],
        [7, first + 1, 0],
    ]
    numbers = sample['target'][:, 0, 0, 1]
    assert np.array_equal(numbers, first + sample['deltas'])


def test_replacements_are_counted_and_the_same_again(warnings):
  num_skipped = 0
  first, again = build({2, 3, 4, 5}), build({2, 3, 4, 5})
  for seed in range(40):
    a, b = first(2, seed), again(2, seed)
    assert all(np.array_equal(a[key], b[key]) for key in a)
    assert a['skipped'] >= 1
    assert a['clip'][1] not in {2, 3, 4, 5}
    num_skipped += a['skipped']
  # Each replacement is broken too with probability 0.4.
  assert num_skipped / 40 == pytest.approx(1 / 0.6, abs=0.6)
  assert len(warnings) == 2 * 4  # once a file, in each of the two
  assert build(())(2, 0)['skipped'] == 0


def test_gives_up():
  with pytest.raises(RuntimeError, match='10 clips in a row .* /.*mp4: read'):
    build(set(range(10)))(0, 0)
