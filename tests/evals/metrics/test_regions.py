"""J and F against the released evaluation, and by hand."""

import pathlib

import numpy as np
import pytest

from rvm_jax.evals.metrics import regions

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'


@pytest.mark.parametrize('name', ['jaccard', 'boundary_f'])
def test_agrees_with_the_released_evaluation(name):
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


def test_jaccard_by_hand(square):
  empty = np.zeros_like(square)
  shifted = np.roll(square, 10, 1)
  true = np.stack([square, square, empty, empty, square])
  predicted = np.stack([square, shifted, empty, square, empty])
  np.testing.assert_allclose(
      regions.jaccard(true, predicted), [1, 1 / 3, 1, 0, 0]
  )


def test_boundary_f_by_hand(square):
  empty, full = np.zeros_like(square), np.ones_like(square)
  near = np.roll(square, 2, 1)  # ceil(.008 * 141.4) is 2 pixels.
  far = np.roll(square, 40, 1)
  true = np.stack([square, square, square, empty, empty, full])
  predicted = np.stack([square, near, far, empty, square, empty])
  np.testing.assert_allclose(
      regions.boundary_f(true, predicted), [1, 1, 0, 1, 0, 1]
  )
  # Three pixels off: of 19 + 19 + 20 + 20 + ... only level pieces still meet.
  further = regions.boundary_f(square, np.roll(square, 3, 1))
  assert 0.4 < further < 0.7


def test_one_pixel_has_a_boundary_of_four():
  dot = np.zeros((9, 9), bool)
  dot[4, 4] = True
  corners = np.zeros((9, 9), bool)
  corners[3:5, 3:5] = True
  np.testing.assert_array_equal(regions._boundary(dot), corners)


def test_is_symmetric_under_swapping():
  a, b = np.random.default_rng(0).random((2, 3, 20, 30)) > 0.9
  for metric in (regions.jaccard, regions.boundary_f):
    np.testing.assert_allclose(metric(a, b), metric(b, a))
  assert regions.boundary_f(a[0], b[0]).shape == ()


def test_refuses_shapes_that_differ():
  for metric in (regions.jaccard, regions.boundary_f):
    with pytest.raises(ValueError, match=r'\(3, 4\) and \(1, 4\)'):
      metric(np.ones((3, 4)), np.ones((1, 4)))


def test_recall_and_decay_by_hand():
  scores = np.array([[1, 0.6, 0.8, 0.5, 0.4, 0.7, 0.2, 0.3], [0.5] * 8])
  np.testing.assert_allclose(regions.recall(scores), [4 / 8, 0])
  # Quarters of 8 frames, as the toolkit rounds: 1 to 3, and 6 to 8.
  np.testing.assert_allclose(regions.decay(scores), [2.4 / 3 - 1.2 / 3, 0])
  for length in range(1, 40):  # The toolkit's own lines.
    values = np.random.default_rng(length).random(length)
    ids = np.round(np.linspace(1, length, 4 + 1) + 1e-10) - 1
    ids = ids.astype(np.uint8)
    bins = [values[ids[i] : ids[i + 1] + 1] for i in range(4)]
    np.testing.assert_allclose(
        regions.decay(values), np.mean(bins[0]) - np.mean(bins[3])
    )
