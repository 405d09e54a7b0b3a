"""Two videos whose features are extracted."""

import pytest

from tests.features import stores


@pytest.fixture(scope='session')
def videos(tmp_path_factory):
  """Returns a folder of two videos of 40 x 60 pixels.

  'long.mp4' has 700 frames and 'short.avi' 20.
  """
  folder = tmp_path_factory.mktemp('videos')
  stores.write_video(folder / 'long.mp4', 'libx264', 700, {'g': '12'})
  stores.write_video(folder / 'short.avi', 'mjpeg', 20)
  return folder
