"""Samples hold the right frames, and broken records are replaced."""

import numpy as np
import pytest

from rvm_jax.data import frame_sampling
from rvm_jax.data import records
from rvm_jax.data import sampler
from rvm_jax.data import skipping
from rvm_jax.data.video import reader


class Numbers:
  """Ten clips of 30 frames whose pixels are (clip number, frame number, 0).

  Clips whose number is in `broken` cannot be read; the reason counts the reads.
  """

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

    return records.Record(
        clip=np.array([index, 0]),
        num_frames=30,
        window=(0, 30),
        frame_rate=25.0,
        read=read,
    )


def build(broken=(), num_target=6):
  """Builds a sampler of `Numbers`; its targets share the gaps 1 to 4."""
  spacing = frame_sampling.Spacing(2, num_target, 1, 1, 4)
  return sampler.Sampler(
      3, Numbers(broken), spacing, 8, 8, (1.0, 1.0), (1.0, 1.0), flip=0.0
  )


def test_sampler_puts_each_frame_at_its_place():
  for seed in range(20):
    sample = build()(7, np.random.default_rng(seed))
    first = sample['clip'][2]
    assert sample['clip'][:2].tolist() == [3, 7]
    assert sample['source'][:, 0, 0].tolist() == [
        [7, first, 0],
        [7, first + 1, 0],
    ]
    numbers = sample['target'][:, 0, 0, 1]
    assert np.array_equal(numbers, first + sample['deltas'])


def test_broken_clips_are_replaced_by_the_same_clips_each_time(warnings):
  broken = {2, 3, 4, 5}
  first, again = (
      skipping.SkipBroken(build(broken), 10, 'clip') for _ in range(2)
  )
  num_skipped = 0
  for seed in range(40):
    a, b = (sample(2, np.random.default_rng(seed)) for sample in (first, again))
    assert all(np.array_equal(a[key], b[key]) for key in a)
    assert a['skipped'] >= 1
    assert a['clip'][1] not in broken
    num_skipped += a['skipped']
  # Each replacement is broken too with probability 0.4.
  assert num_skipped / 40 == pytest.approx(1 / 0.6, abs=0.6)
  # Each of the two objects logs each of the four files once.
  assert len(warnings) == 2 * 4
  whole = skipping.SkipBroken(build(), 10, 'clip')
  assert whole(2, np.random.default_rng(0))['skipped'] == 0


def test_sampler_names_the_file_of_a_broken_record():
  with pytest.raises(skipping.BrokenRecord, match='/5.mp4: read 1') as error:
    build({5})(5, np.random.default_rng(0))
  assert error.value.name == '/5.mp4'
