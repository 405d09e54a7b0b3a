"""Tests the player: what the page gets for each frame."""

import base64
import io

import numpy as np
from PIL import Image
import pytest

from rvm_jax.live import player as player_lib
from rvm_jax.viz import colors


def decode(url):
  """Returns the pixels of a data URL."""
  _, data = url.split(',')
  return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), np.int32)


@pytest.fixture(autouse=True)
def first(player):
  """What the player shows of the first frame."""
  return player.restart()


def test_advance_shows_each_frame_once_and_ends(player):
  for number in range(1, 20):
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


def test_advance_gives_a_second_page_the_same_frame(player, first):
  assert player.advance(-1) == first
  assert player.advance(0)['number'] == 1
  assert player.advance(0)['number'] == 1


def test_click_paints_the_region_and_names_its_centre(player, first):
  before = decode(first['picture'])
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


@pytest.mark.parametrize(
    'source, size, expected, box',
    [
        # 16 patches for the shorter side.
        ((480, 640), None, (128, 168), (5, 0, 635, 480)),
        ((640, 360), None, (224, 128), (0, 5, 360, 635)),
        ((64, 96), (64, 64), (64, 64), (16, 0, 80, 64)),
    ],
)
def test_view_is_cropped_to_whole_patches(source, size, expected, box):
  view = player_lib.choose_view(source, size, 8)
  assert (view.height, view.width) == expected
  assert view.box == box


def test_view_of_a_part_of_a_patch_is_refused():
  with pytest.raises(ValueError, match='60'):
    player_lib.choose_view((64, 96), (60, 64), 8)
