"""What of a frame the model sees."""

import av
import numpy as np
import pytest

from rvm_jax.data.video import decoder
from rvm_jax.features import views

SOURCES = [(64, 96), (240, 320), (1080, 1920), (272, 641), (50, 37)]


@pytest.mark.parametrize('source', SOURCES)
def test_by_default_less_than_a_patch_is_lost_and_nothing_resized(source):
  view = views.choose(source, None, None, 16, 'crop')
  x0, y0, x1, y1 = view.box
  assert (y1 - y0, x1 - x0) == (view.height, view.width)
  assert view.height % 16 == view.width % 16 == 0
  for start, stop, side in ((y0, y1, source[0]), (x0, x1, source[1])):
    assert side - (stop - start) < 16
    assert 0 <= (side - stop) - start <= 1, 'not in the middle'


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize(
    'size', [(256, 256), (64, 160), (160, None), (None, 64)]
)
def test_a_crop_keeps_shapes_and_as_much_as_it_can(source, size):
  view = views.choose(source, *size, 16, 'crop')
  for wanted, found in zip(size, (view.height, view.width)):
    assert found % 16 == 0 and wanted in (None, found)
  x0, y0, x1, y1 = view.box
  assert 0 <= y0 < y1 <= source[0] and 0 <= x0 < x1 <= source[1]
  assert (y1 - y0 == source[0]) or (x1 - x0 == source[1])
  scale = min(source[0] / view.height, source[1] / view.width)
  assert abs((y1 - y0) - view.height * scale) <= 0.5
  assert abs((x1 - x0) - view.width * scale) <= 0.5


def test_one_side_follows_from_the_other():
  for size in ((128, None), (None, 224)):
    view = views.choose((1080, 1920), *size, 16, 'crop')
    assert (view.height, view.width) == (128, 224)  # 227.6, or 126.
  view = views.choose((1080, 1920), 128, None, 16, 'stretch')
  assert view.box == (0, 0, 1920, 1080) and view.width == 224


def test_draws_the_box():
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
def test_names_the_nearest_multiples(size, message):
  with pytest.raises(ValueError, match=message):
    views.choose((480, 640), *size, 16, 'crop')


def test_refuses_frames_smaller_than_a_patch():
  with pytest.raises(ValueError, match='640 x 15 pixels are smaller'):
    views.choose((15, 640), None, None, 16, 'crop')
  assert views.choose((15, 640), 16, 16, 16, 'crop').box == (312, 0, 327, 15)
