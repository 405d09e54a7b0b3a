"""Writes a shard: records, list of clips, list of what is left out, summary."""

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

# Columns of the list of clips. They are features of the records, except for
# `num_bytes`, which is the size of the feature `frames`.
CLIP_COLUMNS = (
    'video,start,num_frames,frame_rate,height,width,label,num_bytes,crc32'
).split(',')
# Columns of the list of what is left out.
LEFT_OUT_COLUMNS = ['video', 'reason']

# Frames are compressed already, and records are read one at a time.
_RECORD_OPTIONS = 'group_size:1,uncompressed'
# Greatest PSNR in dB in a summary. That of equal frames is infinite, which JSON
# cannot express.
_MAX_PSNR = 100.0


class Writer:
  """A shard that is being written.

  Attributes:
    num_cuts: number of scene cuts for the summary. The caller counts them.
  """

  def __init__(self, paths: layout.Paths, settings: plan.Settings):
    """Locks the shard and opens its files.

    Args:
      paths: paths of the shard's files.
      settings: format and quality of the frames.

    Raises:
      OSError: the files cannot be written, or another process is writing them.
    """
    from array_record.python import array_record_module

    self.num_cuts = 0
    self._paths = paths
    self._settings = settings
    with contextlib.ExitStack() as opened:
      # The lock comes first: two processes that write to the same files would
      # damage them.
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
      video: the video that the clip is a part of.
      start: number of the clip's first frame in the video.
      frame_rate: frames per second of the video.
      images: the frames, uint8 [H, W, 3] each, at least one.
      is_sampled: whether to measure the PSNR of the middle frame after storing
        it, for the summary.

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
    # Add the clip to the statistics of the summary.
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
    """Notes that a video, or a part of it, is left out.

    Args:
      video: name of the video.
      reason: which part is left out if not all of the video, and why.
    """
    self._left_out.writerow([video, reason])
    self._num_left_out += 1

  def finish(self) -> dict[str, Any]:
    """Completes the files, gives them their final names, and adds the summary.

    Returns:
      The summary of the shard: sizes and hashes of its files, and statistics.

    Raises:
      OSError: the files cannot be written.
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
    """Closes and unlocks the files, and removes those that are not complete."""
    with contextlib.suppress(OSError), _record_errors():
      self._records.close()
    with contextlib.suppress(OSError):
      self._opened.close()
    for path in self._paths.contents():
      with contextlib.suppress(FileNotFoundError):
        os.remove(_part(path))


def _part(path: str) -> str:
  """Returns the path to write to while the file for `path` is not complete."""
  return f'{path}.part'


@contextlib.contextmanager
def _record_errors() -> Iterator[None]:
  """Raises the errors of array_record as OSErrors with the same text.

  array_record raises RuntimeError, with the path and the cause, if it cannot
  write a file.
  """
  try:
    yield
  except RuntimeError as error:
    raise OSError(str(error)) from error


def _psnr(frame: np.ndarray, original: np.ndarray) -> float:
  """Returns the peak signal-to-noise ratio of a frame in dB, at most _MAX_PSNR.

  Args:
    frame: the frame as it was stored, uint8 [H, W, 3].
    original: the frame before it was stored, uint8 [H, W, 3].
  """
  error = np.mean((frame.astype(np.float64) - original) ** 2)
  # The mean squared error at which the ratio is _MAX_PSNR.
  least = 255**2 / 10 ** (_MAX_PSNR / 10)
  return round(float(10 * np.log10(255**2 / max(error, least))), 2)
