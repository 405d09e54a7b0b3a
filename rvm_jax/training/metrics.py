"""What a run shows of itself: a progress line, TensorBoard scalars, pictures."""

from collections.abc import Mapping
import os
import time

from absl import logging
import jax
import numpy as np
from PIL import Image
import tensorboardX


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
  pictures are PNG files in `workdir`/pictures.
  """

  def __init__(self, workdir: str | os.PathLike[str], num_steps: int):
    self._is_active = jax.process_index() == 0
    self._num_steps = num_steps
    self._pictures = os.path.join(workdir, 'pictures')
    if self._is_active:
      os.makedirs(self._pictures, exist_ok=True)
      self._events = tensorboardX.SummaryWriter(str(workdir), write_to_disk=True)

  def progress(self, step: int, scalars: Mapping[str, float], batch_size: int):
    """One line for people, and the scalars under 'train/'."""
    rate = scalars['clips_per_second']
    if not self._is_active:
      return
    left = (self._num_steps - step) * batch_size / rate
    logging.info(
        'step %d/%d  loss %.5f  %.1f clips/s  waiting for data %.0f %%  %s left',
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
      for key, value in scalars.items():
        self._events.add_scalar(key, value, step)
      self._events.flush()

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


def format_seconds(seconds: float) -> str:
  """93784 to '1 d 2:03:04'."""
  minutes, seconds = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  days, hours = divmod(hours, 24)
  clock = f'{hours}:{minutes:02d}:{seconds:02d}'
  return f'{days} d {clock}' if days else clock
