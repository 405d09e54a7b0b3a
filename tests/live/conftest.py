"""Fixtures: a tiny model and a player of a small video."""

import pytest

import rvm_jax
from rvm_jax.live import frames
from rvm_jax.live import player as player_lib
from tests import video_files
from tests.viz import conftest

CHECKPOINT = conftest.CHECKPOINT


@pytest.fixture(scope='session')
def encoder():
  return rvm_jax.load(CHECKPOINT)


@pytest.fixture(scope='session')
def video(tmp_path_factory):
  """Path of a video of 20 frames, 96 x 64 pixels, 25 a second."""
  return video_files.write_video(
      tmp_path_factory.mktemp('video') / 'a <b>.mp4', num_frames=20
  )


@pytest.fixture(scope='module')
def player(encoder, video):
  """A player of the video; the model has patches of 16 pixels."""
  source = frames.VideoFile(video)
  yield player_lib.Player(source, encoder, (64, 96))
  source.close()
