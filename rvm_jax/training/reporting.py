"""Writes the progress lines, TensorBoard scalars and pictures of a run."""

from collections.abc import Mapping
import os
import time

from absl import logging
import jax
import numpy as np
from PIL import Image
from tensorboardX import event_file_writer
from tensorboardX.proto import event_pb2
from tensorboardX.proto import summary_pb2


class Writer:
  """Writes to the log and to the workdir. Only process 0 writes.

  Scalars are TensorBoard events in the workdir (written without TensorFlow),
  pictures are PNG files in `workdir`/pictures. Every call flushes what it has
  written, so that nothing is lost if the process is killed later.
  """

  def __init__(
      self, workdir: str | os.PathLike[str], start: int, num_steps: int
  ):
    """Starts a new file of TensorBoard events.

    Args:
      workdir: folder of the run.
      start: number of steps done before the run was started this time.
        TensorBoard then hides the scalars of later steps that the run wrote
        before it was interrupted; with 0 it hides all earlier scalars.
      num_steps: number of steps of the whole run.
    """
    self._is_active = jax.process_index() == 0
    self._num_steps = num_steps
    self._pictures = os.path.join(workdir, 'pictures')
    if self._is_active:
      os.makedirs(self._pictures, exist_ok=True)
      # tensorboardX.SummaryWriter is not used, because its `flush` does not
      # write the events that are still in its queue.
      self._events = event_file_writer.EventsWriter(
          os.path.join(workdir, 'events')
      )
      self._write(
          step=start + 1 if start else 0,
          session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START),
      )

  def progress(self, step: int, scalars: Mapping[str, float], batch_size: int):
    """Logs a progress line, and writes the scalars with the prefix 'train/'.

    Args:
      step: number of steps done.
      scalars: values by name. 'loss', 'clips_per_second' and 'data_wait' (the
        share of the time spent waiting for data) are needed for the line.
      batch_size: number of clips in a step, over all devices.
    """
    if not self._is_active:
      return
    rate = scalars['clips_per_second']
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
    """Writes TensorBoard scalars.

    Args:
      step: number of steps done.
      scalars: values by name, such as 'train/loss'.
    """
    if self._is_active:
      values = [
          summary_pb2.Summary.Value(tag=key, simple_value=value)
          for key, value in scalars.items()
      ]
      self._write(step=step, summary=summary_pb2.Summary(value=values))

  def pictures(self, step: int, pictures: Mapping[str, np.ndarray]):
    """Writes pictures as PNG files, named by the picture's name and the step.

    Args:
      step: number of steps done.
      pictures: pictures by name, each uint8 [H, W, 3].
    """
    if self._is_active:
      for name, picture in pictures.items():
        path = os.path.join(self._pictures, f'{name}_{step:07d}.png')
        Image.fromarray(picture).save(path)
        logging.info('Wrote %s', path)

  def close(self):
    """Closes the file of TensorBoard events."""
    if self._is_active:
      self._events.close()

  def _write(self, **event):
    self._events.write_event(event_pb2.Event(wall_time=time.time(), **event))
    self._events.flush()


def format_seconds(seconds: float) -> str:
  """Returns a duration as days and h:mm:ss, such as '1 d 2:03:04'."""
  minutes, seconds = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  days, hours = divmod(hours, 24)
  clock = f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{days} d {clock}' if days else clock
