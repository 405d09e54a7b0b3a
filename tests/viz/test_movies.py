"""Tests movies by reading them back: size, rate, colours."""

import weakref

import av
import numpy as np
import pytest

from rvm_jax.viz import movies

COLORS = [(230, 30, 30), (30, 200, 60), (40, 60, 220), (128, 128, 128)]


def test_movie_holds_its_images_and_states_its_colour_encoding(tmp_path):
  images = np.zeros((5, 64, 96, 3), np.uint8)
  for x, color in enumerate(COLORS):
    images[:, :, 24 * x : 24 * (x + 1)] = color
  images[3, :32] = 255
  path = tmp_path / 'a.mp4'
  assert movies.save_movie(path, iter(images), 16) == (64, 96)
  with av.open(str(path)) as container:
    (stream,) = container.streams
    assert stream.average_rate == 16
    context = stream.codec_context
    assert (context.name, context.pix_fmt) == ('h264', 'yuv420p')
    frames = list(container.decode(stream))
  assert len(frames) == 5
  # The codes of ITU-R BT.709 in video range, as the file states them.
  for frame in frames:
    assert (frame.colorspace, frame.color_range) == (1, 1)
    assert (frame.color_primaries, frame.color_trc) == (1, 1)
  found = np.stack(
      [
          frame.to_ndarray(format='rgb24', src_colorspace='ITU709')
          for frame in frames
      ]
  )
  for x in range(4):
    middle = slice(24 * x + 8, 24 * x + 16)
    error = found[:, 8:24, middle] - np.float64(images[:, 8:24, middle])
    assert np.abs(error).max() < 8


def test_movie_has_its_index_before_its_data(tmp_path):
  path = tmp_path / 'a.mp4'
  movies.save_movie(path, np.zeros((3, 32, 32, 3), np.uint8), 16)
  data = path.read_bytes()
  assert 0 < data.index(b'moov') < data.index(b'mdat')


def test_movie_holds_few_of_its_images_in_memory(tmp_path):
  taken, most = [], 0

  def generate():
    nonlocal most
    for _ in range(30):
      image = np.zeros((32, 32, 3), np.uint8)
      taken.append(weakref.ref(image))
      most = max(most, sum(image() is not None for image in taken))
      yield image

  movies.save_movie(tmp_path / 'a.mp4', generate(), 16)
  assert len(taken) == 30 and most <= 3


@pytest.mark.parametrize(
    'images, message',
    [
        ([], 'at least one image'),
        ([np.zeros((32, 33, 3), np.uint8)], 'even, got 32 x 33'),
        (
            [np.zeros((32, n, 3), np.uint8) for n in (32, 48)],
            r'all images must be \(32, 32, 3\), got \(32, 48, 3\)',
        ),
    ],
)
def test_save_movie_refuses_wrong_images(tmp_path, images, message):
  with pytest.raises(ValueError, match=message):
    movies.save_movie(tmp_path / 'a.mp4', images, 16)
