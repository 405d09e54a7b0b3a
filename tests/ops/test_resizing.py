"""Boxes resized on a device are those that Pillow gives."""

import numpy as np
from PIL import Image
import pytest

from rvm_jax.ops import resizing

# Height and width of a box: it grows, shrinks, grows in one direction, stays.
SIZES = [(20, 31), (90, 100), (25, 90), (48, 40), (1, 1), (96, 1)]


@pytest.mark.parametrize('is_flipped', [False, True])
def test_boxes_of_any_size_are_resized_as_pillow_does(is_flipped):
  rng = np.random.default_rng(0)
  # Noise and a pattern with sharp edges, where the kernel overshoots.
  frames = rng.integers(0, 256, (len(SIZES), 2, 96, 100, 3), np.uint8)
  frames[:, 1] = 255 * (frames[:, 1] > 200)
  found = resizing.resize(
      frames, np.array(SIZES), np.full(len(SIZES), is_flipped), 48, 40
  )
  assert found.shape == (len(SIZES), 2, 48, 40, 3) and found.dtype == np.uint8
  for clip, (height, width), got in zip(frames, SIZES, np.asarray(found)):
    for frame, image in zip(clip, got):
      box = Image.fromarray(frame[:height, :width])
      expected = np.asarray(box.resize((40, 48), Image.Resampling.BICUBIC))
      expected = expected[:, :: -1 if is_flipped else 1]
      difference = np.abs(image.astype(int) - expected)
      assert difference.max() <= 1
      # Only values half way between two grey levels may be rounded otherwise.
      assert (difference > 0).mean() < 0.002


def test_a_box_of_the_same_size_stays_as_it_is():
  frames = np.random.default_rng(0).integers(0, 256, (1, 1, 9, 8, 3), np.uint8)
  found = resizing.resize(frames, np.array([[7, 5]]), np.array([False]), 7, 5)
  assert np.array_equal(found, frames[:, :, :7, :5])
