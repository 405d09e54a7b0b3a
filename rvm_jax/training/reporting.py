"""What a run shows of itself: progress lines, TensorBoard scalars, pictures."""

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
  """Writes to the log and to the workdir, in the first process only.

  Scalars are TensorBoard events in the workdir (written without TensorFlow),
  pictures are PNG files in `workdir`/pictures. What a call writes is on disk
  when it returns, so that a kill cannot take it back.
  """

  def __init__(
      self, workdir: str | os.PathLike[str], start: int, num_steps: int
  ):
    """Opens the workdir.

    Args:
      workdir: folder of the run.
      start: number of steps done before this start. TensorBoard drops what
        earlier starts wrote about later steps; all they wrote if it is 0.
      num_steps: number of steps of the whole run.
    """
    self._is_active = jax.process_index() == 0
    self._num_steps = num_steps
    self._pictures = os.path.join(workdir, 'pictures')
    if self._is_active:
      os.makedirs(self._pictures, exist_ok=True)
      # A SummaryWriter would not do: its flush leaves out what it has queued.
      self._events = event_file_writer.EventsWriter(
          os.path.join(workdir, 'events')
      )
      self._write(
          step=start + 1 if start else 0,
          session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START),
      )

  def progress(self, step: int, scalars: Mapping[str, float], batch_size: int):
    """Logs one line for people, and writes the scalars under 'train/'.

    Args:
      step: number of steps done.
      scalars: values by name, among them 'loss', 'clips_per_second' and
        'data_wait'.
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
    """Writes TensorBoard scalars, given by their full names."""
    if self._is_active:
      values = [
          summary_pb2.Summary.Value(tag=key, simple_value=value)
          for key, value in scalars.items()
      ]
      self._write(step=step, summary=summary_pb2.Summary(value=values))

  def pictures(self, step: int, pictures: Mapping[str, np.ndarray]):
    """Writes pictures, uint8 [H, W, 3] by name, as PNG files."""
    if self._is_active:
      for name, picture in pictures.items():
        path = os.path.join(self._pictures, f'{name}_{step:07d}.png')
        Image.fromarray(picture).save(path)
        logging.info('Wrote %s', path)

  def close(self):
    """Closes the file of events."""
    if self._is_active:
      self._events.close()

  def _write(self, **event):
    self._events.write_event(event_pb2.Event(wall_time=time.time(), **event))
    self._events.flush()


def format_seconds(seconds: float) -> str:
  """Returns a duration as text: 93784 seconds are '1 d 2:03:04'."""
  minutes, seconds = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  days, hours = divmod(hours, 24)
  clock = f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{days} d {clock}' if days else clock
