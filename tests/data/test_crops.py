"""Boxes are sampled as by torchvision, and resized as by Pillow."""

import math

import numpy as np
from PIL import Image
import pytest

from rvm_jax.data import crops


def sample_boxes(
    height, width, area=(0.3, 1.0), aspect=(0.75, 1.25), times=3000
):
  rng = np.random.default_rng(0)
  found = np.array(
      [crops.sample_box(rng, height, width, area, aspect) for _ in range(times)]
  )
  assert (found[:, :2] >= 0).all()
  assert (found[:, 2] <= width).all() and (found[:, 3] <= height).all()
  return found


def test_area_aspect_and_position_cover_their_ranges():
  x0, y0, x1, y1 = sample_boxes(400, 600, (0.1, 0.3)).T
  w, h = x1 - x0, y1 - y0
  area = w * h / (400 * 600)
  assert area.min() > 0.098 and area.max() < 0.302
  assert np.quantile(area, 0.5) == pytest.approx(0.2, abs=0.01)
  aspect = w / h
  assert aspect.min() > 0.74 and aspect.max() < 1.26
  # The median of a distribution that is uniform in the logarithm.
  middle = math.sqrt(0.75 * 1.25)
  assert np.quantile(aspect, 0.5) == pytest.approx(middle, abs=0.02)
  for place, room in ((x0, 600 - w), (y0, 400 - h)):
    share = place / room
    assert share.min() == 0 and share.max() == 1
    assert share.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    'height, width, expected',
    [
        (100, 1000, (437, 0, 562, 100)),  # The widest aspect.
        (1000, 100, (0, 433, 100, 566)),  # The tallest aspect.
    ],
)
def test_box_is_in_the_centre_if_no_sampled_box_fits(height, width, expected):
  found = sample_boxes(height, width, area=(0.9, 1.0), times=20)
  assert np.array_equal(found, np.tile(expected, (20, 1)))


def test_box_is_the_frame_if_no_sampled_box_fits_but_the_frame_does():
  found = sample_boxes(100, 110, area=(2.0, 2.0), times=3)
  assert np.array_equal(found, np.tile((0, 0, 110, 100), (3, 1)))


@pytest.mark.parametrize('size', [(48, 40), (160, 200)])
@pytest.mark.parametrize('is_flipped', [False, True])
def test_crop_equals_that_of_pillow(size, is_flipped):
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (3, 90, 120, 3), np.uint8)
  out = crops.crop(frames, (10, 20, 95, 81), *size, is_flipped)
  assert out.shape == (3, *size, 3) and out.dtype == np.uint8
  for frame, cropped in zip(frames, out):
    image = Image.fromarray(frame).crop((10, 20, 95, 81))
    image = image.resize(size[::-1], Image.Resampling.BICUBIC)
    if is_flipped:
      image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert np.array_equal(cropped, np.asarray(image))


def test_crop_of_a_whole_frame_at_its_own_size_changes_nothing():
  frames = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), np.uint8)
  assert np.array_equal(
      crops.crop(frames, (0, 0, 48, 32), 32, 48, False), frames
  )


def test_a_box_that_fits_is_left_to_the_device():
  frames = np.random.default_rng(0).integers(0, 256, (3, 90, 120, 3), np.uint8)
  out, size = crops.cut(frames, (10, 20, 95, 81), 48, 40, (61, 85))
  assert size == (61, 85)
  assert np.array_equal(out, frames[:, 20:81, 10:95])
  out, size = crops.cut(frames, (10, 20, 95, 81), 48, 40, (64, 90))
  assert size == (61, 85) and out.shape == (3, 64, 90, 3)
  assert np.array_equal(out[:, :61, :85], frames[:, 20:81, 10:95])
  assert not out[:, 61:].any() and not out[:, :, 85:].any()


@pytest.mark.parametrize('room', [(60, 90), (64, 84)])
def test_a_box_that_does_not_fit_is_resized_before_it_is_sent(room):
  frames = np.random.default_rng(0).integers(0, 256, (3, 90, 120, 3), np.uint8)
  box = (10, 20, 95, 81)
  out, size = crops.cut(frames, box, 48, 40, room)
  assert size == (48, 40) and out.shape == (3, *room, 3)
  assert np.array_equal(
      out[:, :48, :40], crops.crop(frames, box, 48, 40, False)
  )
