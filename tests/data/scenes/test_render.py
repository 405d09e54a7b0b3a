"""A known scene keeps its colours, and outlines are smooth."""

import numpy as np

from rvm_jax.data.scenes import source

# Mean grey levels (RGB) of the blocks of 32 x 32 pixels of frame 20 of scene 7,
# rendered at 128 x 128.
THUMBNAIL = (
    (
        (152.6, 104.2, 108.1),
        (128.2, 90.9, 95.2),
        (69.3, 55.0, 61.5),
        (69.6, 55.3, 61.7),
    ),
    (
        (111.7, 101.8, 103.0),
        (106.6, 99.1, 102.6),
        (71.3, 70.6, 81.2),
        (74.1, 64.4, 76.5),
    ),
    (
        (81.8, 82.3, 113.3),
        (111.1, 121.4, 153.7),
        (84.7, 100.7, 135.2),
        (84.7, 98.2, 133.7),
    ),
    (
        (95.3, 112.5, 154.0),
        (114.0, 136.8, 188.3),
        (100.8, 119.6, 164.0),
        (74.6, 84.6, 114.5),
    ),
)


def test_known_scene_keeps_its_colors():
  frame = source.render(7, height=128, width=128, frames=[20])[0]
  blocks = frame.reshape(4, 32, 4, 32, 3).mean((1, 3))
  np.testing.assert_allclose(blocks, THUMBNAIL, atol=1)


def test_pixels_at_outlines_are_means_over_their_area():
  """A pixel is closer to the mean of 9 x 9 rays than its central ray is."""
  num_wrong = np.zeros(2)
  for seed in range(6):
    coarse = source.render(seed, height=32, width=32, frames=[10])[0]
    fine = source.render(seed, height=288, width=288, frames=[10])[0]
    center = fine[4::9, 4::9].astype(float)
    mean = np.square(fine / 255.0).reshape(32, 9, 32, 9, 3).mean((1, 3))
    for k, image in enumerate((coarse, center)):
      num_wrong[k] += (np.abs(image - 255 * np.sqrt(mean)) > 40).sum()
  assert num_wrong[1] > 300
  assert num_wrong[0] < 0.3 * num_wrong[1]
