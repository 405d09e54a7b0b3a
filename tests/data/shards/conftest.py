"""Small folders of videos to pack."""

import numpy as np
import pytest

from tests import video_files
from tests.data.shards import clips


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
  """A folder with videos, pictures, a broken and a short video.

  In 8 frames a clip, at least 4: a.mp4 has 2 clips, bear 1 and a rest of 2
  frames, sub/b.mp4 3 clips.
  """
  root = tmp_path_factory.mktemp('videos')
  (root / 'sub').mkdir()
  video_files.write_video(root / 'a.mp4', 16, height=48, width=64)
  video_files.write_video(root / 'sub/b.mp4', 20, rate=30, height=96, width=64)
  video_files.write_folder(root / 'bear', clips.moving_frames(10, 48, 65))
  (root / 'broken.mp4').write_bytes(np.random.default_rng(0).bytes(500))
  video_files.write_video(root / 'short.mp4', 3)
  return root
