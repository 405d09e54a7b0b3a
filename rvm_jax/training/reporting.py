"""Writes the progress lines, the scalars and the pictures of a run."""

from collections.abc import Mapping
import io
import math
import os
import socket
import struct
import time

from absl import logging
import jax
import numpy as np
from PIL import Image
from tensorboardX import record_writer
from tensorboardX.proto import event_pb2
from tensorboardX.proto import summary_pb2

from rvm_jax.storage import files
from rvm_jax.storage import json_lines
from rvm_jax.storage import outages

# The file of all scalars as JSON lines, for readers without TensorBoard. It is
# read with `pandas.read_json(path, lines=True)`.
METRICS = 'metrics.jsonl'


class Writer:
  """Writes to the log and to the workdir. Only process 0 writes.

  Scalars are TensorBoard events in the workdir (written without TensorFlow) and
  JSON lines in `workdir`/metrics.jsonl; pictures are PNG files in
  `workdir`/pictures. Nothing that was written is lost if the process is killed
  later. What cannot be written, for instance because the disk is full, is left
  out with a warning, and the run goes on.

  A line of metrics.jsonl has 'step', 'time' in seconds since 1970, and scalars
  by name; those that are not finite are null. Scalars of one step may be spread
  over several lines.
  """

  def __init__(
      self, workdir: str | os.PathLike[str], start: int, num_steps: int
  ):
    """Starts a new file of TensorBoard events.

    Args:
      workdir: folder of the run.
      start: number of steps done before the run was started this time. Scalars
        of later steps, which the run wrote before it was interrupted, are
        removed from metrics.jsonl, and TensorBoard hides them; with 0 this
        happens to all earlier scalars. Their events stay in the older files.
      num_steps: number of steps of the whole run.
    """
    self._is_active = jax.process_index() == 0
    self._num_steps = num_steps
    self._pictures = os.path.join(workdir, 'pictures')
    self._picture_outage = outages.Outage(self._pictures)
    if self._is_active:
      self._lines = json_lines.Appender(
          os.path.join(workdir, METRICS),
          keep=lambda record: start > 0 and record['step'] <= start,
      )
      self._events = _Events(workdir)
      self._events.append(
          step=start + 1 if start else 0,
          session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START),
      )

  def progress(self, step: int, scalars: Mapping[str, float], batch_size: int):
    """Logs a progress line, and writes the scalars with the prefix 'train/'.

    Args:
      step: number of steps done.
      scalars: values by name. 'loss' is needed for the line. 'clips_per_second'
        and 'data_wait' (the share of the time spent waiting for data) may be
        missing, for instance after the first step, which is slow because it
        compiles; the line then says nothing about time. 'mfu', the share of the
        devices' peak, is shown if it is there.
      batch_size: number of clips in a step, over all devices.
    """
    if not self._is_active:
      return
    parts = [f'step {step}/{self._num_steps}', f'loss {scalars["loss"]:.5f}']
    if 'clips_per_second' in scalars:
      rate = scalars['clips_per_second']
      left = (self._num_steps - step) * batch_size / rate
      parts += [
          f'{rate:.1f} clips/s',
          f'waiting for data {100 * scalars["data_wait"]:.0f} %',
          f'{format_seconds(left)} left',
      ]
    if 'mfu' in scalars:
      parts.insert(3, f'MFU {100 * scalars["mfu"]:.1f} %')
    logging.info('%s', '  '.join(parts))
    self.scalars(step, {f'train/{key}': x for key, x in scalars.items()})

  def scalars(self, step: int, scalars: Mapping[str, float]):
    """Writes scalars.

    Args:
      step: number of steps done.
      scalars: values by name, such as 'train/loss'.
    """
    if not self._is_active:
      return
    values = {key: float(value) for key, value in scalars.items()}
    self._events.append(
        step=step,
        summary=summary_pb2.Summary(
            value=[
                summary_pb2.Summary.Value(tag=key, simple_value=value)
                for key, value in values.items()
            ]
        ),
    )
    finite = {
        key: value if math.isfinite(value) else None
        for key, value in values.items()
    }
    self._lines.append({'step': step, 'time': round(time.time(), 3)} | finite)

  def pictures(self, step: int, pictures: Mapping[str, np.ndarray]):
    """Writes pictures as PNG files, named by the picture's name and the step.

    Args:
      step: number of steps done.
      pictures: pictures by name, each uint8 [H, W, 3].
    """
    if not self._is_active:
      return
    for name, picture in pictures.items():
      path = os.path.join(self._pictures, f'{name}_{step:07d}.png')
      encoded = io.BytesIO()
      Image.fromarray(picture).save(encoded, 'PNG')
      with self._picture_outage:
        os.makedirs(self._pictures, exist_ok=True)
        # If the run was interrupted after this step and does it again, its
        # earlier picture exists.
        if os.path.exists(path):
          os.remove(path)
        files.append_whole(path, encoded.getvalue())
        logging.info('Wrote %s', path)


class _Events:
  """A new file of TensorBoard events.

  tensorboardX formats the events but does not write them: its writers keep a
  part of an event in memory if the disk is full, which makes the file
  unreadable from there on.
  """

  def __init__(self, workdir):
    self._path = os.path.join(
        workdir,
        f'events.out.tfevents.{int(time.time())}.{socket.gethostname()}',
    )
    self._outage = outages.Outage(self._path)
    self.append(file_version='brain.Event:2')

  def append(self, **values):
    event = event_pb2.Event(wall_time=time.time(), **values)
    with self._outage:
      files.append_whole(self._path, _record(event.SerializeToString()))


def _record(data: bytes) -> bytes:
  """Returns a TFRecord: length, its checksum, data, their checksum."""
  length = struct.pack('<Q', len(data))
  checksums = (
      struct.pack('<I', record_writer.masked_crc32c(part))
      for part in (length, data)
  )
  return length + next(checksums) + data + next(checksums)


def format_seconds(seconds: float) -> str:
  """Returns a duration as days and h:mm:ss, such as '1 d 2:03:04'."""
  minutes, seconds = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  days, hours = divmod(hours, 24)
  clock = f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{days} d {clock}' if days else clock
