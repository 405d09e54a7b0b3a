"""Tests Waymo's parquet files: rows in any order, sizes, broken files."""

import numpy as np
import pyarrow
from pyarrow import parquet
import pytest

from rvm_jax.evals.datasets import waymo_segments
from tests.evals import tiny_videos

IMAGE = '[CameraImageComponent].image'


@pytest.fixture
def files(video_set):
  """Paths of the images and of the boxes of a segment."""
  folder = video_set('waymo') / 'validation'
  return [
      folder / name / 'segment-1.parquet'
      for name in ('camera_image', 'camera_box')
  ]


def read(files, cameras=(1,)):
  return waymo_segments.read(*map(str, files), cameras)


def rewrite(path, function):
  """Replaces the rows of a parquet file, a list of dicts."""
  rows = function(parquet.read_table(path).to_pylist())
  parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def test_cameras_have_frames_in_order_of_time_at_their_own_size(files):
  opened = read(files, (2, 1))
  assert list(opened) == [2, 1]
  for camera, height in ((1, 48), (2, 40)):
    video, _ = opened[camera]
    assert (video.num_frames, video.height, video.width) == (24, height, 64)
    assert video.frame_rate == pytest.approx(10)
    frames = video.read(np.array([3, 0, 23]))
    assert frames.shape == (3, height, 64, 3)
    found = tiny_videos.locate(frames[:, 20, 30])
    np.testing.assert_allclose(found[:, 2], [3, 0, 23], atol=0.5)


def test_boxes_are_nan_where_an_object_has_none(files):
  boxes = read(files)[1][1]
  assert boxes.shape == (2, 24, 4) and boxes.dtype == np.float32
  assert np.isfinite(boxes[0]).all()
  assert np.isfinite(boxes[1, :18]).all() and np.isnan(boxes[1, 18:]).all()
  x, y = tiny_videos.share(1, 5)
  center = np.array([x * 64, y * 48])
  expected = [*(center - (10, 6)), *(center + (10, 6))]
  np.testing.assert_allclose(boxes[1, 5], expected, rtol=1e-5)


def test_camera_without_frames_is_refused(files):
  with pytest.raises(ValueError, match='camera 4 must have two frames or more'):
    read(files, (4,))


def test_boxes_at_a_time_without_an_image_are_refused(files):
  rewrite(files[0], lambda rows: rows[2:])
  with pytest.raises(ValueError, match='boxes at the time .* has no image'):
    read(files)


def test_missing_columns_are_named_with_those_there_are(files):
  rewrite(
      files[1],
      lambda rows: [
          {k: v for k, v in row.items() if 'size.x' not in k} for row in rows
      ],
  )
  with pytest.raises(ValueError, match='lacks the columns .*size.x; it has'):
    read(files)


def test_broken_images_are_named_with_their_row(files):
  good = files[0].read_bytes()
  rewrite(files[0], lambda rows: [row | {IMAGE: b'no jpeg'} for row in rows])
  with pytest.raises(ValueError, match='camera 1 in .* cannot be read as'):
    read(files)
  files[0].write_bytes(good)
  video = read(files)[1][0]
  row = int(video.rows[7])
  rewrite(
      files[0],
      lambda rows: [
          x | ({IMAGE: b'no jpeg'} if i == row else {})
          for i, x in enumerate(rows)
      ],
  )
  video.read(np.array([6, 8]))
  with pytest.raises(ValueError, match=f'row {row} of {files[0]} cannot be re'):
    video.read(np.array([6, 7]))


def test_file_that_is_not_parquet_is_named(files):
  files[1].write_bytes(files[1].read_bytes()[:-9])
  with pytest.raises(ValueError, match='camera_box.* is not a parquet file'):
    read(files)
