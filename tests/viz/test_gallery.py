"""Tests what a gallery writes for a video, and that it appears as a whole."""

import os
import pathlib

import numpy as np
from PIL import Image
import pytest

from rvm_jax.viz import gallery
from rvm_jax.viz import panels
from rvm_jax.viz import reconstructions

PATCH = 16


@pytest.fixture(scope='module')
def video():
  """Frames, features, and a reconstruction of frames 4 to 7."""
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (9, 32, 48, 3), np.uint8)
  reconstruction = reconstructions.ReconstructedFrames(
      source=frames[:4],
      target=frames[4:8],
      visible=np.array([[0], [1], [2], [5]]),
      pixels=rng.uniform(size=(4, 32, 48, 3)),
  )
  return frames, rng.normal(size=(9, 2, 3, 6)), reconstruction


def read_strip(path):
  """Splits a strip into its four pictures of 48 x 32 pixels, enlarged by 6."""
  strip = np.asarray(Image.open(path))
  assert strip.shape == (192, 4 * 288 + 3 * 6, 3)
  return [strip[::6, left : left + 288 : 6] for left in range(0, 4 * 294, 294)]


def test_add_writes_movies_sheet_and_strips(tmp_path, video):
  frames, features, reconstruction = video
  section = gallery.add(
      str(tmp_path),
      'A',
      'About.',
      'a',
      frames,
      features,
      PATCH,
      False,
      reconstruction,
  )
  assert {path.name for path in tmp_path.iterdir()} == {
      'a-wide.mp4',
      'a-tall.mp4',
      'a.png',
      'a-seen.png',
      'a-painted.png',
      'a-true.png',
  }
  for k, picture in enumerate(read_strip(tmp_path / 'a-true.png')):
    np.testing.assert_array_equal(picture, frames[4 + k])
  for k, picture in enumerate(read_strip(tmp_path / 'a-painted.png')):
    expected = np.rint(reconstruction.pixels[k] * 255)
    np.testing.assert_array_equal(picture, expected)
  for k, picture in enumerate(read_strip(tmp_path / 'a-seen.png')):
    expected = np.full((32, 48, 3), 128)
    row, column = divmod(reconstruction.visible[k, 0], 3)
    patch = np.s_[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
    expected[patch] = frames[4 + k][patch]
    np.testing.assert_array_equal(picture, expected)

  summary = section.reconstruction
  assert summary.frames == (4, 7)
  assert (summary.num_visible, summary.num_patches) == (1, 6)
  target = frames[4:8] / 255
  errors = (reconstruction.pixels - target) ** 2, (
      frames[3] / 255 - target
  ) ** 2
  np.testing.assert_allclose(summary.error, errors[0].mean())
  np.testing.assert_allclose(summary.copy_error, errors[1].mean())
  assert section.num_frames == 9 and section.change.shape == (8,)
  distances = np.linalg.norm(np.diff(features, axis=0), axis=-1)
  lengths = np.linalg.norm(features[:-1], axis=-1)
  np.testing.assert_allclose(section.change, (distances / lengths).mean((1, 2)))


def test_add_without_reconstruction_passes_the_reason_on(tmp_path, video):
  frames, features, _ = video
  section = gallery.add(
      str(tmp_path),
      'A',
      '',
      'a',
      frames[:3],
      features[:3],
      PATCH,
      False,
      'No decoder.',
  )
  assert section.reconstruction == 'No decoder.'
  names = {path.name for path in tmp_path.iterdir()}
  assert names == {'a-wide.mp4', 'a-tall.mp4', 'a.png'}


def test_components_and_clusters_can_be_those_of_centred_features(
    tmp_path, video, monkeypatch
):
  frames, features, _ = video
  drawn = []
  draw = panels.draw
  monkeypatch.setattr(
      panels, 'draw', lambda *args: drawn.append(args) or draw(*args)
  )
  # The frames differ in a vector that all patches of a frame share.
  shared = 9 * np.arange(9)[:, None, None, None] * np.ones(6)
  for x, is_centred in ((features, True), (features + shared, True)):
    gallery.add(str(tmp_path), 'A', '', 'a', frames, x, PATCH, is_centred, '')
  for number in (1, 2):
    np.testing.assert_allclose(drawn[0][number], drawn[1][number], atol=1e-5)
  gallery.add(
      str(tmp_path), 'A', '', 'a', frames, features + shared, PATCH, False, ''
  )
  assert not np.allclose(drawn[1][1], drawn[2][1], atol=0.1)


def test_unfinished_moves_files_at_the_end_and_the_page_last(
    tmp_path, monkeypatch
):
  (tmp_path / 'a.png').write_text('old')
  (tmp_path / 'notes.txt').write_text('kept')
  moved = []
  replace = os.replace

  def record(source, target):
    moved.append(pathlib.Path(target).name)
    replace(source, target)

  monkeypatch.setattr(os, 'replace', record)
  with gallery.unfinished(str(tmp_path)) as folder:
    for name in ('z.mp4', 'index.html', 'a.png'):
      pathlib.Path(folder, name).write_text('new')
    assert (tmp_path / 'a.png').read_text() == 'old' and not moved
  assert moved == ['a.png', 'z.mp4', 'index.html']
  contents = {path.name: path.read_text() for path in tmp_path.iterdir()}
  assert contents == dict.fromkeys(moved, 'new') | {'notes.txt': 'kept'}


def test_unfinished_moves_nothing_after_an_error(tmp_path):
  with pytest.raises(KeyError), gallery.unfinished(str(tmp_path)) as folder:
    pathlib.Path(folder, 'a.png').write_text('new')
    raise KeyError
  assert not list(tmp_path.iterdir())
