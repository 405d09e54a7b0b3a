"""Reads a segment of Waymo Open perception v2, which is two parquet files."""

from collections.abc import Sequence
import dataclasses
import io
from typing import Any

import numpy as np
from PIL import Image

from rvm_jax.evals.datasets import files

_TIME, _CAMERA = 'key.frame_timestamp_micros', 'key.camera_name'
_OBJECT = 'key.camera_object_id'
_BOX = '[CameraBoxComponent].box'
_IMAGE = '[CameraImageComponent].image'
# Number of rows that are read at a time until an image of a camera is found.
_FEW = 4
# Number of bytes that pyarrow reads ahead. Without this limit it would read a
# whole row group.
_BUFFER = 2**20


@dataclasses.dataclass(frozen=True)
class CameraVideo:
  """The images of a camera in a segment, a `sampling.SourceVideo`.

  Attributes:
    path: path of the file of images.
    rows: rows of the F images in the file, in the order of their times, int64
      [F].
    frame_rate: frames per second, on average between first and last image.
    height: height of the images in pixels.
    width: width of the images in pixels.
  """

  path: str
  rows: np.ndarray
  frame_rate: float
  height: int
  width: int

  @property
  def num_frames(self) -> int:
    """Number of images."""
    return len(self.rows)

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """Reads some frames.

    Args:
      numbers: numbers of the frames, int [n].

    Returns:
      uint8 RGB [n, height, width, 3].

    Raises:
      ValueError: an image cannot be read, or has another size than the first.
    """
    return files.read_frames(_read_images(self.path, self.rows[numbers]))


def read(
    image_file: str, box_file: str, cameras: Sequence[int]
) -> dict[int, tuple[CameraVideo, np.ndarray]]:
  """Opens the cameras of a segment.

  One image of each camera is read to know the size of its frames.

  Args:
    image_file: path of the segment's file in camera_image.
    box_file: path of the segment's file in camera_box.
    cameras: numbers of the cameras to open.

  Returns:
    {camera: (video, boxes)}. `boxes` is float32 [n, F, 4], the boxes of n
    objects in the F frames, (x0, y0, x1, y1) in pixels, NaN where an object has
    no box.

  Raises:
    ValueError: a file is not parquet or lacks columns, an image cannot be read,
      a camera has too few frames or two at one time, or boxes have a time
      without an image.
  """
  images = _read_columns(image_file, [_TIME, _CAMERA])
  boxes = _read_columns(
      box_file,
      [_TIME, _CAMERA, _OBJECT]
      + [f'{_BOX}.{name}' for name in ('center.x', 'center.y')]
      + [f'{_BOX}.{name}' for name in ('size.x', 'size.y')],
  )
  opened = {}
  for camera in cameras:
    rows = np.flatnonzero(images[_CAMERA] == camera)
    rows = rows[np.argsort(images[_TIME][rows], kind='stable')]
    times = images[_TIME][rows]
    if len(rows) < 2 or len(set(times.tolist())) < len(rows):
      raise ValueError(
          f'{image_file}: camera {camera} must have two frames or more, each'
          f' at its own time, got {len(rows)} at {len(set(times.tolist()))}'
          ' times'
      )
    height, width = _read_size(image_file, camera)
    seconds = float(times[-1] - times[0]) / 1e6
    video = CameraVideo(
        image_file, rows, (len(rows) - 1) / seconds, height, width
    )
    camera_boxes = {
        key: column[boxes[_CAMERA] == camera] for key, column in boxes.items()
    }
    opened[camera] = video, _arrange(camera_boxes, times, image_file, box_file)
  return opened


def _arrange(
    boxes: dict[str, np.ndarray],
    times: np.ndarray,
    image_file: str,
    box_file: str,
) -> np.ndarray:
  """Returns boxes by identity and frame.

  Args:
    boxes: columns of a camera's boxes, by name.
    times: int64 [F], times of the camera's frames, ascending.
    image_file: path of the file of images, for errors.
    box_file: path of the file of boxes, for errors.

  Returns:
    float32 [n, F, 4], (x0, y0, x1, y1), NaN where an object has no box.
  """
  # The frame of each box is the one with the same time.
  frames = np.searchsorted(times, boxes[_TIME])
  is_known = times[np.minimum(frames, len(times) - 1)] == boxes[_TIME]
  if not is_known.all():
    raise ValueError(
        f'{box_file} has boxes at the time {boxes[_TIME][~is_known][0]}, of'
        f' which {image_file} has no image'
    )
  # Objects are numbered in the order of their identities.
  ids, objects = np.unique(boxes[_OBJECT], return_inverse=True)
  center = np.stack([boxes[f'{_BOX}.center.{axis}'] for axis in 'xy'], -1)
  size = np.stack([boxes[f'{_BOX}.size.{axis}'] for axis in 'xy'], -1)
  corners = np.concatenate([center - size / 2, center + size / 2], -1)
  arranged = np.full((len(ids), len(times), 4), np.nan, np.float32)
  arranged[objects, frames] = corners
  return arranged


def import_parquet() -> Any:
  """Returns the module pyarrow.parquet.

  Raises:
    ImportError: it is not installed; the message says how to install it.
  """
  try:
    from pyarrow import parquet
  except ImportError as error:
    raise ImportError(
        'Waymo perception v2 is in parquet files; to read them, install'
        " pyarrow: pip install 'rvm_jax[waymo]'"
    ) from error
  return parquet


def _open(path: str) -> Any:
  """Opens a parquet file, a `pyarrow.parquet.ParquetFile`."""
  import pyarrow

  try:
    return import_parquet().ParquetFile(path, buffer_size=_BUFFER)
  except pyarrow.ArrowInvalid as error:
    raise ValueError(f'{path} is not a parquet file: {error}') from error


def _read_columns(path: str, names: list[str]) -> dict[str, np.ndarray]:
  """Returns whole columns of a file, by name."""
  with _open(path) as file:
    missing = set(names) - set(file.schema_arrow.names)
    if missing:
      raise ValueError(
          f'{path} lacks the columns {", ".join(sorted(missing))}; it has'
          f' {", ".join(file.schema_arrow.names)}'
      )
    table = file.read(columns=names)
  return {name: table[name].to_numpy() for name in names}


def _read_images(path: str, rows: np.ndarray) -> list[io.BytesIO]:
  """Returns the JPEGs in some rows, as open files with names for errors."""
  images = [None] * len(rows)
  with _open(path) as file:
    counts = [
        file.metadata.row_group(group).num_rows
        for group in range(file.metadata.num_row_groups)
    ]
    # Parquet is read by row groups. Each one that holds a row is read once.
    starts = np.cumsum([0] + counts)
    groups = np.searchsorted(starts, rows, side='right') - 1
    for group in np.unique(groups):
      column = file.read_row_group(group, columns=[_IMAGE])[_IMAGE]
      for place in np.flatnonzero(groups == group):
        data = column[int(rows[place] - starts[group])].as_py()
        images[place] = io.BytesIO(data)
        images[place].name = f'the image in row {rows[place]} of {path}'
  return images


def _read_size(path: str, camera: int) -> tuple[int, int]:
  """Returns height and width of a camera's first image in the file.

  The file may have hundreds of megabytes, and is read only up to that image.
  """
  with _open(path) as file:
    batches = file.iter_batches(_FEW, columns=[_CAMERA, _IMAGE])
    image = next(
        io.BytesIO(data.as_py())
        for batch in batches
        for found, data in zip(batch[_CAMERA].to_pylist(), batch[_IMAGE])
        if found == camera
    )
  try:
    with Image.open(image) as opened:
      return opened.height, opened.width
  except OSError as error:
    raise ValueError(
        f'an image of camera {camera} in {path} cannot be read as a picture:'
        f' {error}'
    ) from error
