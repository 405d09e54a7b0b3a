"""Tests that sheets hold their pictures, enlarged and otherwise unchanged."""

import numpy as np
from PIL import Image
import pytest

from rvm_jax.viz import sheets


def occurs(picture, sheet, scale):
  """Returns whether the sheet contains the picture, enlarged by `scale`."""
  picture = picture.repeat(scale, 0).repeat(scale, 1)
  windows = np.lib.stride_tricks.sliding_window_view(sheet, picture[:1].shape)[
      :, :, 0
  ]
  height = len(picture)
  for y, x in np.argwhere((windows[..., 0, :, :] == picture[0]).all((-2, -1))):
    found = sheet[y : y + height, x : x + picture.shape[1]]
    if np.array_equal(found, picture):
      return True
  return False


@pytest.fixture
def clips():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (2, 5, 32, 48, 3), np.uint8)


def test_reconstruction_sheet_shows_sources_and_masked_targets(clips):
  source, target = clips[:, :3], clips[:, 3:]
  visible = np.array([[[0, 5], [1, 2]], [[3, 4], [5, 0]]])
  pixels = np.flip(target, -1) / 255.0
  pixels[0, 0, 0, 0] = [-1, 2, 0.5]
  sheet = sheets.reconstruction_sheet(source, target, visible, pixels, 16)
  assert sheet.dtype == np.uint8 and sheet.shape[-1] == 3
  masked = np.full_like(target[1, 1], 128)
  masked[:16, :16] = target[1, 1, :16, :16]
  masked[16:, 32:] = target[1, 1, 16:, 32:]
  cut = np.flip(target[0, 0], -1).copy()
  cut[0, 0] = [0, 255, 128]
  for picture in (*source[0], *target[1], masked, cut):
    assert occurs(picture, sheet, 4)
  assert not occurs(source[0, 0] + np.uint8(1), sheet, 4)


def test_mask_sheet_tints_the_chosen_frames(clips):
  frames = clips[0]
  segments = np.zeros((5, 32, 48), np.uint8)
  segments[:, :8, :8] = 1
  segments[:, 8:16] = 2
  sheet = sheets.mask_sheet(
      frames, {'true': segments, 'none': 0 * segments}, times=[0, 4]
  )
  assert occurs(frames[4], sheet, 4) and not occurs(frames[2], sheet, 4)
  colors = sheet.astype(int)
  # The sheet has three rows, and the objects are tinted.
  frame_rows = np.flatnonzero((sheet[:, -20] != 255).any(-1))
  assert np.ptp(frame_rows) > 3 * 128
  assert (colors.max(-1) - colors.min(-1)).max() > 100
  everything = sheets.mask_sheet(frames, {'a': segments})
  assert everything.shape[1] > 2 * sheet.shape[1]


def test_mask_sheet_gives_an_object_one_colour_in_every_row():
  frames = np.full((1, 128, 128, 3), 100, np.uint8)
  segments = np.zeros((1, 128, 128), int)
  segments[:, :64] = 1
  # There are 12 colours, so object 13 has that of object 1.
  segments[:, 64:] = 13
  sheet = sheets.mask_sheet(frames, {'a': segments, 'b': segments})
  colors, counts = np.unique(sheet.reshape(-1, 3), axis=0, return_counts=True)
  tints = colors[counts == 2 * 128**2]
  assert len(tints) == 1 and np.ptp(tints[0].astype(int)) > 80


def test_save_png_writes_the_pixels(tmp_path, clips):
  sheets.save_png(tmp_path / 'a.png', clips[0, 0])
  np.testing.assert_array_equal(Image.open(tmp_path / 'a.png'), clips[0, 0])
