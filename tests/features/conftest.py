"""Two videos to encode."""

import pytest

from tests.features import stores


@pytest.fixture(scope='session')
def videos(tmp_path_factory):
  """Folder of videos of 40 x 60 pixels: 'long.mp4' and 'short.avi'."""
  folder = tmp_path_factory.mktemp('videos')
  stores.write_video(folder / 'long.mp4', 'libx264', 700, {'g': '12'})
  stores.write_video(folder / 'short.avi', 'mjpeg', 20)
  return folder
