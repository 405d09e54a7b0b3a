"""Tests maps against plain linear algebra and hand-worked numbers."""

import numpy as np
import pytest

from rvm_jax.viz import maps


@pytest.fixture
def features():
  """Features with a few strong directions, far from zero, as states are."""
  rng = np.random.default_rng(0)
  strong = rng.normal(size=(4, 5, 6, 4)) * [9, 5, 3, 1]
  tokens = strong @ rng.normal(size=(4, 16)) + 3000 * rng.normal(size=16)
  return np.float32(tokens)


def test_components_agree_with_a_singular_value_decomposition(features):
  found = maps.find_components(features)
  assert found.shape == (4, 5, 6, 3)
  tokens = np.float64(features.reshape(-1, 16))
  u = np.linalg.svd(tokens - tokens.mean(0), full_matrices=False)[0][:, :3]
  expected = (u - u.min(0)) / np.ptp(u, 0)
  for k in range(3):
    column = found[..., k].ravel()
    # The sign of a principal component is not defined.
    error = min(
        np.abs(column - expected[:, k]).max(),
        np.abs(column - (1 - expected[:, k])).max(),
    )
    assert error < 1e-3


def test_components_are_stretched_over_the_video_not_over_each_frame(features):
  features[1:] += 100
  found = maps.find_components(features)
  assert found.min() >= 0 and found.max() <= 1
  np.testing.assert_allclose(np.ptp(found, (0, 1, 2)), 1, atol=1e-5)
  assert max(np.ptp(found[0], (0, 1))) < 0.9


def test_clusters_are_found_over_all_frames_and_numbered_by_size():
  rng = np.random.default_rng(0)
  true_clusters = rng.choice(5, p=[0.3, 0.25, 0.2, 0.15, 0.1], size=(6, 8, 9))
  centres = rng.normal(size=(5, 7)) * 20
  features = np.float32(centres[true_clusters] + rng.normal(size=(6, 8, 9, 7)))
  found = maps.find_clusters(features)
  sizes = np.bincount(found.ravel())
  assert found.shape == true_clusters.shape and len(sizes) == 5
  assert all(np.diff(sizes) <= 0)
  pairs = {(a, b) for a, b in zip(found.ravel(), true_clusters.ravel())}
  assert len(pairs) == 5
  np.testing.assert_array_equal(found, maps.find_clusters(features))


def test_state_change_is_relative_to_the_state_before():
  features = np.zeros((3, 1, 2, 2), np.float32)
  features[:, 0, 0] = [[3, 4], [3, 4], [0, 0]]
  features[:, 0, 1] = [[0, 2], [2, 2], [2, 3]]
  found = maps.state_change(features)
  expected = [[[0, 1]], [[1, 1 / 8**0.5]]]
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_pixel_change_is_the_root_mean_square_of_each_patch():
  frames = np.full((3, 16, 32, 3), 100, np.uint8)
  frames[1, :8, 8:16] = 49
  frames[2] = frames[1]
  found = maps.pixel_change(frames, 8)
  expected = np.zeros((2, 2, 4))
  expected[0, 0, 1] = 51 / 255
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_maps_refuse_too_few_patches():
  with pytest.raises(ValueError, match='at least 3 patches'):
    maps.find_components(np.zeros((2, 1, 1, 8), np.float32))
  with pytest.raises(ValueError, match='at least 5 patches'):
    maps.find_clusters(np.zeros((2, 1, 2, 8), np.float32))


def test_basis_colours_other_features_within_its_range(features):
  basis = maps.fit_basis(features[:2])
  np.testing.assert_allclose(
      maps.apply_basis(features[:2], basis), maps.find_components(features[:2])
  )
  # Along the first component: far below, at the mean, and far above.
  line = np.outer([-9, 0, 9], np.linalg.pinv(basis.directions)[0])
  found = maps.apply_basis(np.float32(basis.mean + line), basis)
  assert found[0, 0] == 0 and 0 < found[1, 0] < 1 and found[2, 0] == 1


def test_basis_keeps_the_signs_of_the_one_before(features):
  basis = maps.fit_basis(features)
  flipped = basis._replace(directions=basis.directions * [1, -1, -1])
  found = maps.fit_basis(features, flipped)
  np.testing.assert_allclose(found.directions, flipped.directions)
