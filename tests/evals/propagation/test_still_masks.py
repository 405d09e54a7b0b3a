"""Compares masks that stay, of both kinds, with masks made by hand."""

import numpy as np

from rvm_jax.evals.propagation import still_masks

LABELS = np.array([0, 1, 3], np.uint8)


def repeat(mask, size=(8, 8), grid=(2, 2)):
  return still_masks.repeat(mask, LABELS, size, grid, 5)


def test_the_first_mask_is_in_every_frame_at_full_resolution():
  mask = np.random.default_rng(0).choice(LABELS, (8, 8))
  still = repeat(mask)
  assert still.keys() == still_masks.KINDS.keys()
  np.testing.assert_array_equal(still['stay'], [mask] * 5)
  assert still['stay'].dtype == still['stay_grid'].dtype == np.uint8


def test_the_grid_loses_small_objects_and_rounds_off_corners():
  mask = np.zeros((8, 8), np.uint8)
  mask[:, 4:] = 3
  mask[0, 0] = 1  # A single pixel, away from the centre of its patch.
  expected = np.where(mask == 1, 0, mask)
  np.testing.assert_array_equal(repeat(mask)['stay_grid'], [expected] * 5)
  # The corners of an object as large as a patch are lost.
  mask = np.zeros((12, 12), np.uint8)
  mask[4:8, 4:8] = 1
  on_grid = repeat(mask, (12, 12), (3, 3))['stay_grid'][0]
  assert on_grid[5:7, 5:7].all() and not on_grid[4, 4]
  assert 4 <= on_grid.sum() < 16 and not on_grid[mask == 0].any()


def test_pixels_without_a_label_get_the_first_one():
  mask = np.full((8, 8), 3, np.uint8)
  mask[2, 5] = 255
  still = repeat(mask)
  assert still['stay'][4, 2, 5] == 0 and (still['stay'] == 0).sum() == 5
  assert set(np.unique(still['stay_grid'])) <= {0, 3}


def test_the_table_names_both_baselines():
  scores = {'x': 51.25, 'stay_x': 26.0, 'stay_grid_x': 24.5}
  assert [
      line.split() for line in still_masks.tabulate(scores, 'x', 'mIoU (%)')
  ] == [
      'propagated masks, mIoU (%) 51.2'.split(),
      'masks that stay 26.0'.split(),
      'masks that stay, on the grid 24.5'.split(),
  ]
