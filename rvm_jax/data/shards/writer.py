"""Writes the files of a shard: its records, two lists, and a summary."""

from collections.abc import Iterator, Sequence
import contextlib
import csv
import json
import os
from typing import Any
import zlib

import numpy as np

from rvm_jax.data.shards import layout
from rvm_jax.data.shards import plan
from rvm_jax.data.shards import schema
from rvm_jax.storage import files

# The columns of the list of clips. All but `num_bytes`, the size of `frames`,
# are features of the records.
CLIP_COLUMNS = (
    'video,start,num_frames,frame_rate,height,width,label,num_bytes,crc32'
).split(',')
LEFT_OUT_COLUMNS = ['video', 'reason']

# The payload is compressed already, and each record is read alone.
_RECORD_OPTIONS = 'group_size:1,uncompressed'
# Greatest PSNR in dB that is noted: that of equal frames is infinite.
_MAX_PSNR = 100.0


class Writer:
  """A shard that is being written.

  Attributes:
    num_cuts: number of scene cuts, which the caller counts.
  """

  def __init__(self, paths: layout.Paths, settings: plan.Settings):
    """Opens the files.

    Args:
      paths: their paths.
      settings: how videos become clips.

    Raises:
      OSError: they cannot be written, or another process is writing them.
    """
    from array_record.python import array_record_module

    self.num_cuts = 0
    self._paths = paths
    self._settings = settings
    with contextlib.ExitStack() as opened:
      # Two processes that write the same files would spoil them.
      opened.enter_context(layout.lock(paths))
      files_ = [
          opened.enter_context(
              open(_part(path), 'w', encoding='utf-8', newline='')
          )
          for path in (paths.clips, paths.left_out)
      ]
      self._clips, self._left_out = (
          csv.writer(file, lineterminator='\n') for file in files_
      )
      self._clips.writerow(CLIP_COLUMNS)
      self._left_out.writerow(LEFT_OUT_COLUMNS)
      with _record_errors():
        self._records = array_record_module.ArrayRecordWriter(
            _part(paths.records), _RECORD_OPTIONS
        )
      self._lists = files_
      self._opened = opened.pop_all()
    self._num_left_out = 0
    self._seconds = 0.0
    self._num_frames: list[int] = []
    self._num_bytes: list[int] = []
    self._sizes: dict[str, int] = {}
    self._psnr: list[float] = []

  def add(
      self,
      video: plan.Video,
      start: int,
      frame_rate: float,
      images: Sequence[np.ndarray],
      *,
      is_sampled: bool,
  ):
    """Writes a clip.

    Args:
      video: the video.
      start: number of the clip's first frame in the video.
      frame_rate: frames per second of the video.
      images: the n frames, uint8 [H, W, 3] each.
      is_sampled: whether the PSNR of the middle frame is measured.

    Raises:
      OSError: the records cannot be written.
    """
    quality = self._settings.quality
    if self._settings.format == 'jpeg':
      frames, offsets = schema.pack_jpeg(images, quality)
    else:
      frames, offsets = schema.pack_mp4(images, frame_rate, quality)
    height, width, _ = images[0].shape
    example = {
        'frames': frames,
        'offsets': offsets,
        'encoding': self._settings.format,
        'num_frames': len(images),
        'height': height,
        'width': width,
        'start': start,
        'frame_rate': frame_rate,
        'video': video.name,
        'label': video.clip.label,
        'crc32': zlib.crc32(frames),
    }
    with _record_errors():
      self._records.write(schema.serialize(example))
    row = example | {'num_bytes': len(frames)}
    self._clips.writerow([row[column] for column in CLIP_COLUMNS])
    # Count.
    self._num_frames.append(len(images))
    self._num_bytes.append(len(frames))
    self._seconds += len(images) / frame_rate
    size = f'{width}x{height}'
    self._sizes[size] = self._sizes.get(size, 0) + 1
    if is_sampled:
      middle = len(images) // 2
      self._psnr.append(
          _psnr(schema.read(example, [middle])[0], images[middle])
      )

  def leave_out(self, video: str, reason: str):
    """Notes that something is left out.

    Args:
      video: name of the video.
      reason: what is left out of it, and why.
    """
    self._left_out.writerow([video, reason])
    self._num_left_out += 1

  def finish(self) -> dict[str, Any]:
    """Completes the files and gives them their names.

    Returns:
      The summary of the shard: size and hash of its files, and statistics.

    Raises:
      OSError: they cannot be written.
    """
    with _record_errors():
      self._records.close()
    for file in self._lists:
      file.close()
    contents = {
        os.path.basename(path): {
            'size': os.path.getsize(_part(path)),
            'sha256': layout.hash_file(_part(path)),
        }
        for path in self._paths.contents()
    }
    for path in self._paths.contents():
      files.replace_whole(_part(path), path)
    summary = {
        'files': contents,
        'num_clips': len(self._num_frames),
        'num_frames': sum(self._num_frames),
        'num_bytes': sum(self._num_bytes),
        'num_left_out': self._num_left_out,
        'num_cuts': self.num_cuts,
        'seconds': self._seconds,
        'sizes': self._sizes,
        'psnr': self._psnr,
    }
    files.replace_text(self._paths.summary, json.dumps(summary, indent=1))
    return summary

  def clean_up(self):
    """Closes the files and removes those that are not complete."""
    with contextlib.suppress(OSError), _record_errors():
      self._records.close()
    with contextlib.suppress(OSError):
      self._opened.close()
    for path in self._paths.contents():
      with contextlib.suppress(FileNotFoundError):
        os.remove(_part(path))


def _part(path: str) -> str:
  """Returns the path of a file until it is complete."""
  return f'{path}.part'


@contextlib.contextmanager
def _record_errors() -> Iterator[None]:
  """Makes the errors of array_record, which name path and cause, OSErrors."""
  try:
    yield
  except RuntimeError as error:
    raise OSError(str(error)) from error


def _psnr(frame: np.ndarray, original: np.ndarray) -> float:
  """Returns the peak signal-to-noise ratio of a frame in dB."""
  error = np.mean((frame.astype(np.float64) - original) ** 2)
  least = 255**2 / 10 ** (_MAX_PSNR / 10)
  return round(float(10 * np.log10(255**2 / max(error, least))), 2)
