"""Fixtures: a small video, and a gallery of it that all tests share."""

import pathlib

import numpy as np
import pytest

from rvm_jax.viz import __main__ as command
from rvm_jax.viz import movies

CHECKPOINT = (
    pathlib.Path(__file__).parents[1] / 'golden' / 'rvm_tiny_params.npz'
)


def write_video(path, num_frames=10, height=64, width=96, rate=25):
  """Writes a video of a bright square that moves over a gradient."""
  images = np.zeros((num_frames, height, width, 3), np.uint8)
  images[:] = np.linspace(0, 200, width, dtype=np.uint8)[:, None]
  for t, image in enumerate(images):
    image[16:32, 4 * t : 4 * t + 16] = 250, 120, 40
  movies.save_movie(path, images, rate)
  return path


@pytest.fixture(scope='session')
def video(tmp_path_factory):
  # The name has characters that are special in HTML, in URLs and in a shell.
  name = 'a <b>&"ü 100%#?.mp4'
  return write_video(tmp_path_factory.mktemp('video') / name)


@pytest.fixture(scope='session')
def gallery(tmp_path_factory, video):
  out = tmp_path_factory.mktemp('out') / 'the gallery #1'
  code = command.main(
      [
          str(video),
          'noise_square',
          '--num_frames=10',
          '--size',
          '64',
          '96',
          f'--checkpoint={CHECKPOINT}',
          f'--out={out}',
      ]
  )
  assert code == 0
  return out
