"""One segment of Waymo Open perception v2: two parquet files."""

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
_FEW = 4  # Images that are read at once to see one of a camera.
_BUFFER = 2**20  # Bytes that are read ahead, rather than a whole row group.


@dataclasses.dataclass(frozen=True)
class CameraVideo:
  """What a camera saw in a segment; see `sampling.Video`.

  Attributes:
    path: of the images.
    rows: int64 [F], rows of the file, in the order of time.
    frame_rate, height, width: as they are in the file.
  """

  path: str
  rows: np.ndarray
  frame_rate: float
  height: int
  width: int

  @property
  def num_frames(self) -> int:
    return len(self.rows)

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """The frames with these numbers, uint8 [n, height, width, 3].

    Raises:
      ValueError: an image that cannot be read, or of another size.
    """
    images = _read_images(self.path, self.rows[numbers])
    return files.read_frames(images)


def read(
    image_file: str, box_file: str, cameras: Sequence[int]
) -> dict[int, tuple[CameraVideo, np.ndarray]]:
  """Opens a segment's cameras; of the images, reads only what tells their size.

  Args:
    image_file, box_file: the segment's files of camera_image and camera_box.
    cameras: numbers of those wanted.

  Returns:
    {camera: (video, boxes)}, boxes float32 [n, F, 4] of n objects in the F
    frames, (x0, y0, x1, y1) in pixels, nan where there is none.

  Raises:
    ValueError: see `waymo.read`.
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
      )
    size = _size(image_file, camera)
    seconds = float(times[-1] - times[0]) / 1e6
    video = CameraVideo(image_file, rows, (len(rows) - 1) / seconds, *size)
    of_camera = {
        key: column[boxes[_CAMERA] == camera] for key, column in boxes.items()
    }
    opened[camera] = video, _arrange(of_camera, times, image_file, box_file)
  return opened


def _arrange(boxes, times, image_file, box_file) -> np.ndarray:
  """Boxes by identity and frame: float32 [n, F, 4]."""
  frames = np.searchsorted(times, boxes[_TIME])
  is_known = times[np.minimum(frames, len(times) - 1)] == boxes[_TIME]
  if not is_known.all():
    raise ValueError(
        f'{box_file} has boxes at the time {boxes[_TIME][~is_known][0]}, of'
        f' which {image_file} has no image'
    )
  ids, objects = np.unique(boxes[_OBJECT], return_inverse=True)
  center = np.stack([boxes[f'{_BOX}.center.{axis}'] for axis in 'xy'], -1)
  size = np.stack([boxes[f'{_BOX}.size.{axis}'] for axis in 'xy'], -1)
  arranged = np.full((len(ids), len(times), 4), np.nan, np.float32)
  corners = np.concatenate([center - size / 2, center + size / 2], -1)
  arranged[objects, frames] = corners
  return arranged


def import_parquet() -> Any:
  """Returns pyarrow.parquet.

  Raises:
    ImportError: says how to install it.
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
  import pyarrow

  try:
    return import_parquet().ParquetFile(path, buffer_size=_BUFFER)
  except pyarrow.ArrowInvalid as error:
    raise ValueError(f'{path} is not a parquet file: {error}') from error


def _read_columns(path: str, names: list[str]) -> dict[str, np.ndarray]:
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
  """The JPEGs in some rows, with names for errors."""
  images = [None] * len(rows)
  with _open(path) as file:
    counts = [
        file.metadata.row_group(group).num_rows
        for group in range(file.metadata.num_row_groups)
    ]
    starts = np.cumsum([0] + counts)
    groups = np.searchsorted(starts, rows, side='right') - 1
    for group in np.unique(groups):
      column = file.read_row_group(group, columns=[_IMAGE])[_IMAGE]
      for place in np.flatnonzero(groups == group):
        data = column[int(rows[place] - starts[group])].as_py()
        images[place] = io.BytesIO(data)
        images[place].name = f'the image in row {rows[place]} of {path}'
  return images


def _size(path: str, camera: int) -> tuple[int, int]:
  """Height and width of a camera's first image in the file.

  Reads no further than that image: a segment has hundreds of megabytes.
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
