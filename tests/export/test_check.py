"""Tests the videos, features and tolerance that exports are checked with."""

import numpy as np
import pytest

from rvm_jax import streaming
from rvm_jax.export import check


def test_make_videos_covers_a_small_the_native_and_a_large_grid():
  videos = list(check.make_videos(4))
  assert [video.shape for video in videos] == [
      (2, 2, 8, 12, 3),
      (1, 2, 64, 64, 3),
      (1, 2, 72, 76, 3),
  ]
  assert all(video.dtype == np.uint8 for video in videos)


def test_make_videos_uses_given_sizes_for_all_videos():
  shapes = [x.shape for x in check.make_videos(4, batch=3, height=20)]
  assert shapes == [
      (3, 2, 20, 12, 3),
      (3, 2, 20, 64, 3),
      (3, 2, 20, 76, 3),
  ]
  (video,) = check.make_videos(4, batch=1, height=8, width=12)
  assert video.shape == (1, 2, 8, 12, 3)


def test_encode_gives_cls_and_patches_of_the_model(small):
  _, model, params = small
  video = next(check.make_videos(model.patch))
  expected, _ = model.apply(
      {'params': params}, np.float32(video) / 255, method='encode'
  )
  found = check.encode(streaming.Encoder(model, params), video)
  assert found.shape == expected.shape == (2, 2, 1 + 2 * 3, 8)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_compare_returns_the_largest_difference():
  expected = np.zeros((1, 2, 3))
  found = expected.copy()
  found[0, 1, 2] = -5e-5
  assert check.compare(found, expected) == 5e-5


@pytest.mark.parametrize('wrong', [2e-4, np.nan])
def test_compare_refuses_large_differences_and_nan(wrong):
  expected = np.zeros((1, 2, 3))
  found = expected.copy()
  found[0, 0, 0] = wrong
  with pytest.raises(RuntimeError, match='does not reproduce our features'):
    check.compare(found, expected)
