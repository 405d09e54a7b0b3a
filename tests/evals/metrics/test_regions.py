"""Tests J and F against the released evaluation, and by hand."""

import pathlib

import numpy as np
import pytest

from rvm_jax.evals.metrics import regions

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'


@pytest.mark.parametrize('name', ['jaccard', 'boundary_f'])
def test_measures_agree_with_the_released_evaluation(name):
  golden = np.load(GOLDEN)
  objects = golden['label_map'][1:, None, None, None]
  scores = getattr(regions, name)(
      golden['masks'][None, 1:-1] == objects,
      golden['segmentation'][None, 1:-1] == objects,
  )
  assert scores.dtype == np.float64
  np.testing.assert_allclose(scores, golden[name], atol=1e-12)


@pytest.fixture
def square():
  mask = np.zeros((100, 100), bool)
  mask[40:60, 40:60] = True
  return mask


def test_jaccard_of_hand_worked_masks(square):
  empty = np.zeros_like(square)
  shifted = np.roll(square, 10, 1)
  true = np.stack([square, square, empty, empty, square])
  predicted = np.stack([square, shifted, empty, square, empty])
  np.testing.assert_allclose(
      regions.jaccard(true, predicted), [1, 1 / 3, 1, 0, 0]
  )


def test_boundary_f_of_hand_worked_masks(square):
  empty, full = np.zeros_like(square), np.ones_like(square)
  near = np.roll(square, 2, 1)  # The radius is ceil(0.008 * 141.4) = 2 pixels.
  far = np.roll(square, 40, 1)
  true = np.stack([square, square, square, empty, empty, full])
  predicted = np.stack([square, near, far, empty, square, empty])
  np.testing.assert_allclose(
      regions.boundary_f(true, predicted), [1, 1, 0, 1, 0, 1]
  )
  # At a shift of three pixels only the horizontal edges still match.
  further = regions.boundary_f(square, np.roll(square, 3, 1))
  assert 0.4 < further < 0.7


def test_boundary_of_one_pixel_has_four_pixels():
  dot = np.zeros((9, 9), bool)
  dot[4, 4] = True
  corners = np.zeros((9, 9), bool)
  corners[3:5, 3:5] = True
  np.testing.assert_array_equal(regions._boundary(dot), corners)


def test_measures_are_symmetric():
  a, b = np.random.default_rng(0).random((2, 3, 20, 30)) > 0.9
  for metric in (regions.jaccard, regions.boundary_f):
    np.testing.assert_allclose(metric(a, b), metric(b, a))
  assert regions.boundary_f(a[0], b[0]).shape == ()


def test_measures_refuse_shapes_that_differ():
  for metric in (regions.jaccard, regions.boundary_f):
    with pytest.raises(ValueError, match=r'\(3, 4\) and \(1, 4\)'):
      metric(np.ones((3, 4)), np.ones((1, 4)))


def test_recall_and_decay_agree_with_the_toolkit():
  scores = np.array([[1, 0.6, 0.8, 0.5, 0.4, 0.7, 0.2, 0.3], [0.5] * 8])
  np.testing.assert_allclose(regions.recall(scores), [4 / 8, 0])
  # The first and last quarter of 8 frames are frames 1 to 3 and 6 to 8, after
  # the rounding of the toolkit.
  np.testing.assert_allclose(regions.decay(scores), [2.4 / 3 - 1.2 / 3, 0])
  # The reference below is copied from the toolkit.
  for length in range(1, 40):
    values = np.random.default_rng(length).random(length)
    ids = np.round(np.linspace(1, length, 4 + 1) + 1e-10) - 1
    ids = ids.astype(np.uint8)
    bins = [values[ids[i] : ids[i + 1] + 1] for i in range(4)]
    np.testing.assert_allclose(
        regions.decay(values), np.mean(bins[0]) - np.mean(bins[3])
    )
