"""Tests the choice of views, and the crops that they make."""

import av
import numpy as np
import pytest

from rvm_jax.data.video import decoder
from rvm_jax.features import playback
from rvm_jax.features import views

SOURCES = [(64, 96), (240, 320), (1080, 1920), (272, 641), (50, 37)]


@pytest.mark.parametrize('source', SOURCES)
def test_choose_without_a_size_cuts_off_less_than_a_patch(source):
  view = views.choose(source, None, None, 16, 'crop')
  x0, y0, x1, y1 = view.box
  assert (y1 - y0, x1 - x0) == (view.height, view.width)
  assert view.height % 16 == view.width % 16 == 0
  for start, stop, side in ((y0, y1, source[0]), (x0, x1, source[1])):
    assert side - (stop - start) < 16
    assert 0 <= (side - stop) - start <= 1, 'the box is not centred'


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize(
    'size', [(256, 256), (64, 160), (160, None), (None, 64)]
)
def test_choose_with_crop_keeps_the_aspect_ratio_and_the_largest_box(
    source, size
):
  view = views.choose(source, *size, 16, 'crop')
  for wanted, found in zip(size, (view.height, view.width)):
    assert found % 16 == 0 and wanted in (None, found)
  x0, y0, x1, y1 = view.box
  assert 0 <= y0 < y1 <= source[0] and 0 <= x0 < x1 <= source[1]
  assert (y1 - y0 == source[0]) or (x1 - x0 == source[1])
  scale = min(source[0] / view.height, source[1] / view.width)
  assert abs((y1 - y0) - view.height * scale) <= 0.5
  assert abs((x1 - x0) - view.width * scale) <= 0.5


def test_choose_rounds_a_side_that_is_not_given():
  for size in ((128, None), (None, 224)):
    view = views.choose((1080, 1920), *size, 16, 'crop')
    # The exact sides are a width of 227.6 and a height of 126.
    assert (view.height, view.width) == (128, 224)
  view = views.choose((1080, 1920), 128, None, 16, 'stretch')
  assert view.box == (0, 0, 1920, 1080) and view.width == 224


def test_crop_gives_the_pixels_of_the_box_resized():
  image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
  picture = av.VideoFrame.from_ndarray(image)
  view = views.choose((50, 70), None, None, 16, 'crop')
  found = view.crop(picture, decoder.RGB())
  assert np.array_equal(found, image[1:49, 3:67])
  view = views.choose((50, 70), 32, 32, 16, 'stretch')
  found = view.crop(picture, decoder.RGB())
  expected = picture.to_image().resize((32, 32), 3)
  assert np.array_equal(found, np.asarray(expected))


@pytest.mark.parametrize(
    'size, message',
    [
        ((250, None), 'height must be .* 16, got 250; take 240 or 256'),
        ((256, 7), 'width must be .* got 7; take 16'),
        ((None, -16), 'width must be .* got -16; take 16'),
        ((0, None), 'height must be .* got 0; take 16'),
    ],
)
def test_choose_names_the_nearest_multiples_of_the_patch(size, message):
  with pytest.raises(ValueError, match=message):
    views.choose((480, 640), *size, 16, 'crop')


def test_choose_refuses_frames_smaller_than_a_patch():
  with pytest.raises(ValueError, match='640 x 15 pixels are smaller'):
    views.choose((15, 640), None, None, 16, 'crop')
  assert views.choose((15, 640), 16, 16, 16, 'crop').box == (312, 0, 327, 15)


def test_crop_chunks_fills_the_last_chunk_with_black():
  image = np.full((16, 16, 3), 200, np.uint8)
  frames = [
      playback.Frame(float(number), av.VideoFrame.from_ndarray(image))
      for number in range(7)
  ]
  view = views.choose((16, 16), None, None, 16, 'crop')
  (times, images), (last_times, last_images) = views.crop_chunks(
      frames, view, start=2, size=3
  )
  assert times.tolist() == [2, 3, 4] and last_times.tolist() == [5, 6]
  assert images.shape == last_images.shape == (3, 16, 16, 3)
  assert (images == 200).all() and (last_images[:2] == 200).all()
  assert not last_images[2].any()


def test_read_frames_gives_the_crops_of_the_chosen_view(videos):
  path = str(videos / 'short.avi')
  found = list(views.read_frames(path, 16, height=32))
  view = views.choose((40, 60), 32, None, 16, 'crop')
  rgb = decoder.RGB()
  expected = [view.crop(f.picture, rgb) for f in playback.Playback(path)]
  assert len(found) == 20
  np.testing.assert_array_equal(found, expected)


def test_read_frames_refuses_missing_files_and_sides_that_do_not_fit(
    videos,
):
  with pytest.raises(decoder.BrokenVideo, match='gone.mp4: No such file'):
    next(views.read_frames('gone.mp4', 16))
  with pytest.raises(ValueError, match='height must be .* got 40; take 32'):
    next(views.read_frames(str(videos / 'short.avi'), 16, height=40))
