"""What a run shows of itself: progress lines, TensorBoard scalars, pictures."""

from collections.abc import Mapping
import logging as std_logging
import os
import time

from absl import logging
import jax
import numpy as np
from PIL import Image
from tensorboardX import event_file_writer
from tensorboardX.proto import event_pb2
from tensorboardX.proto import summary_pb2


def is_ours_or_urgent(record: std_logging.LogRecord) -> bool:
  """Keeps the log readable: a checkpoint alone is 40 lines of Orbax."""
  training = os.path.dirname(os.path.abspath(__file__))
  ours = os.path.dirname(training) + os.sep
  return record.pathname.startswith(ours) or record.levelno > std_logging.INFO


class Stopwatch:
  """Clips per second, and the share of the time spent waiting for data."""

  def __init__(self):
    self._start = time.perf_counter()
    self._waited = 0.0
    self._clips = 0

  def take(self, iterator, num_clips: int):
    """The iterator's next batch; the time it takes counts as waiting."""
    start = time.perf_counter()
    batch = next(iterator)
    self._waited += time.perf_counter() - start
    self._clips += num_clips
    return batch

  def read(self) -> dict[str, float]:
    """Rates since the last reading: 'clips_per_second', 'data_wait' in 0..1."""
    elapsed = time.perf_counter() - self._start
    rates = {
        'clips_per_second': self._clips / elapsed,
        'data_wait': self._waited / elapsed,
    }
    self.__init__()
    return rates


class Writer:
  """Writes to the log and to `workdir`; silent in all processes but the first.

  Scalars are TensorBoard events in the workdir (written without TensorFlow),
  pictures are PNG files in `workdir`/pictures. What a call writes is on disk
  when it returns: no kill can take it back.
  """

  def __init__(
      self, workdir: str | os.PathLike[str], start: int, num_steps: int
  ):
    """Opens the workdir.

    Args:
      workdir: of the run.
      start: steps done. TensorBoard drops what an earlier start has written
        beyond them, and where none are done all that it has.
      num_steps: of the whole run.
    """
    self._is_active = jax.process_index() == 0
    self._num_steps = num_steps
    self._pictures = os.path.join(workdir, 'pictures')
    if self._is_active:
      os.makedirs(self._pictures, exist_ok=True)
      # Not a SummaryWriter: its flush leaves out what is still in its queue.
      self._events = event_file_writer.EventsWriter(
          os.path.join(workdir, 'events')
      )
      self._write(
          step=start + 1 if start else 0,
          session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START),
      )

  def progress(self, step: int, scalars: Mapping[str, float], batch_size: int):
    """One line for people, and the scalars under 'train/'."""
    rate = scalars['clips_per_second']
    if not self._is_active:
      return
    left = (self._num_steps - step) * batch_size / rate
    logging.info(
        'step %d/%d  loss %.5f  %.1f clips/s  waiting for data %.0f %%'
        '  %s left',
        step,
        self._num_steps,
        scalars['loss'],
        rate,
        100 * scalars['data_wait'],
        format_seconds(left),
    )
    self.scalars(step, {f'train/{key}': x for key, x in scalars.items()})

  def scalars(self, step: int, scalars: Mapping[str, float]):
    if self._is_active:
      values = [
          summary_pb2.Summary.Value(tag=key, simple_value=value)
          for key, value in scalars.items()
      ]
      self._write(step=step, summary=summary_pb2.Summary(value=values))

  def pictures(self, step: int, pictures: Mapping[str, np.ndarray]):
    """Pictures are uint8 [H, W, 3]."""
    if self._is_active:
      for name, picture in pictures.items():
        path = os.path.join(self._pictures, f'{name}_{step:07d}.png')
        Image.fromarray(picture).save(path)
        logging.info('Wrote %s', path)

  def close(self):
    if self._is_active:
      self._events.close()

  def _write(self, **event):
    self._events.write_event(event_pb2.Event(wall_time=time.time(), **event))
    self._events.flush()


def format_seconds(seconds: float) -> str:
  """93784 to '1 d 2:03:04'."""
  minutes, seconds = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  days, hours = divmod(hours, 24)
  clock = f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{days} d {clock}' if days else clock
