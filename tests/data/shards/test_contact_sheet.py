"""The contact sheet shows clips from all over the set."""

import numpy as np

from rvm_jax.data.shards import contact_sheet


def test_chosen_clips_are_spread_over_all():
  assert contact_sheet.choose(3) == [0, 1, 2]
  many = contact_sheet.choose(4800)
  assert len(many) == 48 and many[0] == 50 and many[-1] == 4750
  assert set(np.diff(many)) == {100}


def test_frames_of_any_size_are_drawn_with_their_names():
  red = np.full((40, 90, 3), (255, 0, 0), np.uint8)
  blue = np.full((300, 100, 3), (0, 0, 255), np.uint8)
  sheet = contact_sheet.draw([red, blue] * 5, ['a' * 99] * 10)
  pixels = np.asarray(sheet)
  assert pixels.shape == (2 * 134, 8 * 160, 3)
  assert pixels[100, 80].tolist() == [255, 0, 0]
  assert pixels[60, 160 + 80].tolist() == [0, 0, 255]
  # Text, and no frames after the last.
  assert pixels[120:134, :160].min() < 100
  assert (pixels[134:, 2 * 160 :] == 255).all()
