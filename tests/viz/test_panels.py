"""Tests that panels show what they are given, patch by patch."""

import numpy as np
import pytest

from rvm_jax.viz import colors
from rvm_jax.viz import panels


@pytest.fixture
def drawn():
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (3, 32, 48, 3), np.uint8)
  components = rng.uniform(size=(3, 2, 3, 3))
  clusters = rng.integers(0, 5, (3, 2, 3))
  state, pixels = rng.uniform(size=(2, 2, 2, 3))
  return frames, components, clusters, state, pixels


def enlarge(images, factor):
  return images.repeat(factor, 1).repeat(factor, 2)


def test_draw_shows_a_patch_as_a_rectangle_of_one_colour(drawn):
  frames, components, clusters, state, _ = drawn
  shown = panels.draw(*drawn)
  # Frames 48 pixels wide are enlarged by 7, to 336 pixels.
  groups = colors.KINDS[clusters]
  np.testing.assert_array_equal(shown[panels.VIDEO], enlarge(frames, 7))
  np.testing.assert_array_equal(
      shown[panels.COMPONENTS],
      enlarge(np.rint(components * 255).astype(np.uint8), 7 * 16),
  )
  np.testing.assert_array_equal(shown[panels.CLUSTERS], enlarge(groups, 7 * 16))
  half = 0.5 * enlarge(frames, 7) + 0.5 * enlarge(groups, 7 * 16)
  np.testing.assert_allclose(shown[panels.OVERLAY], half, atol=1)
  change = shown[panels.STATE_CHANGE]
  assert not change[0].any()
  brightness = change[1:, ::112, ::112].sum(-1)
  order = np.argsort(np.minimum(state, panels.full_change(state)), None)
  assert (np.diff(brightness.ravel()[order]) >= 0).all()


def test_fit_shrinks_large_frames_and_makes_sides_even():
  images = np.zeros((1, 90, 1280, 3), np.uint8)
  assert panels.fit(images, 320, 640).shape == (1, 44, 640, 3)
  assert panels.fit(images[:, :, :401], 320, 640).shape == (1, 90, 400, 3)


def test_lay_out_places_panels_in_rows_below_their_names(drawn):
  shown = panels.draw(*drawn)
  height, width = 224, 336
  for columns in (2, 3):
    pictures = list(panels.lay_out(shown, columns))
    assert len(pictures) == 3
    assert pictures[0].shape[0] % 2 == pictures[0].shape[1] % 2 == 0
    for i, images in enumerate(shown.values()):
      y = 32 + (i // columns) * (32 + height + 8)
      x = 8 + (i % columns) * (width + 8)
      found = pictures[2][y : y + height, x : x + width]
      np.testing.assert_array_equal(found, images[2])
      # The name of the panel is written in the strip above it.
      assert (pictures[2][y - 32 : y, x : x + width] > 200).any()


def test_full_change_ignores_the_first_frames_and_is_never_0():
  change = np.full((40, 4, 4), 0.02)
  change[:5] = 0.9
  change[10:, 0, 0] = 0.1
  assert 0.05 < panels.full_change(change) <= 0.1
  assert panels.full_change(np.zeros((3, 4, 4))) > 0
