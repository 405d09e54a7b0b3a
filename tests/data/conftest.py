"""Folders of videos for the tests of pipelines."""

import pytest


@pytest.fixture
def folders(tmp_path, make_video):
  """Folders with 5 and 2 videos, which have 30, 40, ... frames each."""
  for name, num_videos in {'many': 5, 'few': 2}.items():
    (tmp_path / name).mkdir()
    for number in range(num_videos):
      make_video(
          tmp_path / name / f'{number}.mp4',
          30 + 10 * number,
          options={'g': '12', 'bf': '3'},
      )
  return str(tmp_path / 'many'), str(tmp_path / 'few')
