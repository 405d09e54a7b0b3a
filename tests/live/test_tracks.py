"""Tests tracks against label propagation over the whole video."""

import numpy as np
import pytest

from rvm_jax.evals.propagation import label_propagation
from rvm_jax.live import tracks


@pytest.mark.parametrize('center_frames', [False, True])
def test_track_agrees_with_propagation_over_the_whole_video(center_frames):
  rng = np.random.default_rng(0)
  features = rng.normal(size=(9, 4, 6, 48)).astype(np.float32)
  labels = tracks.draw_disc(2.5, 1.5, (4, 6))
  expected = label_propagation.propagate(
      label_propagation.normalize(features),
      labels[..., None],
      center_frames=center_frames,
      **tracks.SETTINGS._asdict(),
  )
  track = tracks.Track(features[0], labels, center_frames=center_frames)
  np.testing.assert_array_equal(track.labels, labels)
  for t in range(1, 9):
    track.step(features[t])
    np.testing.assert_allclose(track.labels, expected[t, ..., 0], atol=1e-6)


def test_disc_has_the_patches_around_the_point_and_always_the_one_at_it():
  disc = tracks.draw_disc(2.5, 1.5, (4, 6))
  expected = np.zeros((4, 6))
  expected[:3, 1:4] = 1
  np.testing.assert_array_equal(disc, expected)
  assert tracks.draw_disc(0, 0, (4, 6))[0, 0] == 1
  assert tracks.draw_disc(5.99, 3.99, (4, 6))[3, 5] == 1


def test_centre_is_none_where_the_region_is_not_seen():
  labels = tracks.draw_disc(2.5, 1.5, (4, 6))
  features = np.zeros((4, 6, 48), np.float32)
  track = tracks.Track(features, labels, center_frames=False)
  assert track.find_centre() == (2.5, 1.5)
  track.labels = 0.5 * labels
  assert track.find_centre() is None
