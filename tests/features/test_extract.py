"""Tests continuing an unfinished store, and refusing one that does not fit."""

import pathlib

import numpy as np
from PIL import Image
import pytest

from rvm_jax import streaming
from rvm_jax.features import extract
from rvm_jax.features import playback
from tests.features import stores

TINY = pathlib.Path(__file__).parents[1] / 'golden' / 'rvm_tiny_params.npz'
CHECKPOINT = {
    'checkpoint_path': 'tiny.npz',
    'checkpoint_fingerprint': '0123456789abcdef',
}


@pytest.fixture(scope='module')
def encoder():
  return streaming.load(TINY)


def run(encoder, path, output):
  return extract.extract(
      encoder,
      str(path),
      str(output),
      CHECKPOINT,
      height=None,
      width=None,
      fit='crop',
      dtype='float32',
  )


@pytest.fixture
def stopped(encoder, videos, tmp_path, monkeypatch):
  """Returns an unfinished store with 16 of the 20 frames of short.avi."""
  path = tmp_path / 'stopped.zarr'
  call = streaming.Encoder.__call__

  def fail_after_first(self, images, state):
    if state is not None:
      raise KeyboardInterrupt
    return call(self, images, state)

  with monkeypatch.context() as patch:
    patch.setattr(streaming.Encoder, '__call__', fail_after_first)
    with pytest.raises(KeyboardInterrupt):
      run(encoder, videos / 'short.avi', path)
  return path


def test_extract_encodes_only_the_frames_that_a_store_lacks(
    encoder, videos, stopped, tmp_path, monkeypatch
):
  whole = run(encoder, videos / 'short.avi', tmp_path / 'whole.zarr')
  encoded = []
  call = streaming.Encoder.__call__

  def record(self, images, state):
    encoded.append(images)
    return call(self, images, state)

  monkeypatch.setattr(streaming.Encoder, '__call__', record)
  store = run(encoder, videos / 'short.avi', stopped)
  assert store.is_complete and store.num_frames == whole.num_frames == 20
  assert stores.contents(stopped) == stores.contents(tmp_path / 'whole.zarr')
  # The one chunk that was left begins with frame 16 and ends in black frames.
  (chunk,) = encoded
  assert chunk.shape == (16, 32, 48, 3)
  expected = stores.decode(videos / 'short.avi')[16:, 4:36, 6:54]
  np.testing.assert_array_equal(chunk[:4], expected)
  assert not chunk[4:].any()


def test_extract_refuses_a_video_that_gives_fewer_frames_than_before(
    encoder, videos, stopped, monkeypatch
):
  play = playback.Playback.__iter__

  def play_ten(self):
    for _, frame in zip(range(10), play(self)):
      yield frame

  monkeypatch.setattr(playback.Playback, '__iter__', play_ten)
  with pytest.raises(ValueError, match='gave 10 frames this time.* has 16'):
    run(encoder, videos / 'short.avi', stopped)


def test_extract_refuses_a_folder_of_which_a_picture_has_changed(
    encoder, tmp_path
):
  folder = tmp_path / 'pictures'
  folder.mkdir()
  for number in range(3):
    Image.new('RGB', (32, 32)).save(folder / f'{number:05d}.png')
  output = tmp_path / 'pictures.zarr'
  run(encoder, folder, output)
  run(encoder, folder, output)
  with open(folder / '00001.png', 'r+b') as file:
    Image.new('RGB', (32, 32), 'red').save(file, 'PNG')
  with pytest.raises(ValueError, match='source_mtime_ns: saved'):
    run(encoder, folder, output)
