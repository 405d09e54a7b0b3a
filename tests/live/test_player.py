"""Tests the player: what the page gets for each frame."""

import base64
import io

import numpy as np
from PIL import Image
import pytest

import rvm_jax
from rvm_jax.live import frames
from rvm_jax.live import player as player_lib
from rvm_jax.viz import colors
from rvm_jax.weights import released
from tests.live import conftest


def decode(url):
  """Returns the pixels of a data URL."""
  _, data = url.split(',')
  return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), np.int32)


def test_advance_shows_each_frame_once_and_ends(player):
  for number in range(20):
    shown = player.advance(number - 1)
    assert shown['number'] == number and not shown['has_ended']
    assert shown['time'] == number / 25 and shown['milliseconds'] > 0
  assert shown['size'] == (64, 96) and shown['patch'] == 16
  assert decode(shown['picture']).shape == (213, 320, 3)
  assert decode(shown['components']).shape == (4, 6, 3)
  last = player.advance(19)
  assert last['number'] == 19 and last['has_ended']
  again = player.restart()
  assert again['number'] == 0 and not again['has_ended']


def test_advance_gives_a_second_page_the_same_frame(player):
  first = player.advance(-1)
  assert player.advance(-1) == first
  assert player.advance(0)['number'] == 1
  assert player.advance(0)['number'] == 1


def test_click_paints_the_region_and_names_its_centre(player):
  before = decode(player.advance(-1)['picture'])
  shown = player.click(40.0, 40.0, 0)
  after = decode(shown['picture'])
  (track,) = shown['tracks']
  assert track == {'color': '#e69f00', 'x': 40.0, 'y': 40.0}
  # The picture shown is 320 / 96 times as large as that of the model.
  place = round(40 * 320 / 96)
  expected = (before[place, place] + colors.KINDS[0]) / 2
  assert np.abs(after[place, place] - expected).max() < 12
  assert np.abs(after[-20:, -20:] - before[-20:, -20:]).max() < 12
  assert not player.clear()['tracks']


def test_frames_are_cropped_to_whole_patches_of_the_size_asked_for(
    encoder, video
):
  player = player_lib.Player(frames.VideoFile(video), encoder)
  # 16 patches of 16 pixels for the shorter side of 64 of 96 x 64.
  assert (player.view.height, player.view.width) == (256, 384)
  player = player_lib.Player(frames.VideoFile(video), encoder, (64, 64))
  assert player.view.box == (16, 0, 80, 64)
  with pytest.raises(ValueError, match='60'):
    player_lib.Player(frames.VideoFile(video), encoder, (60, 64))


def test_checkpoint_without_decoder_gives_the_same_page(
    player, video, tmp_path
):
  with np.load(conftest.CHECKPOINT) as file:
    kept = {key: file[key] for key in file if not released.is_decoder(key)}
    assert len(kept) < len(file.files)
  path = tmp_path / 'encoder.npz'
  np.savez(path, **kept)
  alone = player_lib.Player(
      frames.VideoFile(video), rvm_jax.load(path), (64, 96)
  )
  ignored = {'milliseconds': 0}
  assert player.advance(-1) | ignored == alone.advance(-1) | ignored
