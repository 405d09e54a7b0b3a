"""From a record of a source to a sample: draw, read, crop; skip what breaks."""

import functools
import multiprocessing
import os
import signal
import threading
from typing import Any

from absl import logging
import numpy as np

from rvm_jax.data import crops
from rvm_jax.data import frame_sampling
from rvm_jax.data.video import reader

# Records of a source tried for one sample before the run ends.
_MAX_TRIES = 10


class Sampler:
  """Turns a record and a random generator into a sample.

  A record that cannot be read is replaced by another of the same source,
  drawn from the same generator: as long as the same files are broken, the
  samples are the same. Each broken file is logged once by every worker, and
  the sample counts the records it replaces.
  """

  def __init__(
      self,
      number: int,
      source: Any,
      spacing: frame_sampling.Spacing,
      height: int,
      width: int,
      area: tuple[float, float],
      aspect: tuple[float, float],
      flip: float,
  ):
    """Takes the source, its number in the mixture, and how to sample it."""
    self._number = number
    self._source = source
    self._spacing = spacing
    self._height = height
    self._width = width
    self._area = area
    self._aspect = aspect
    self._flip = flip
    self._logged = set()

  def __setstate__(self, state: dict[str, Any]):
    self.__dict__ = state
    live_with_parent()  # Unpickled: this is a worker.

  def __call__(
      self, record: dict[str, Any], rng: np.random.Generator
  ) -> dict[str, np.ndarray]:
    """Returns one sample: arrays as in `pipeline`, without the batch axis.

    Raises:
      RuntimeError: too many records in a row could not be read.
    """
    for skipped in range(_MAX_TRIES):
      try:
        return self._sample(record, rng) | {'skipped': np.int32(skipped)}
      except reader.BrokenVideo as error:
        broken = error
      if broken.path not in self._logged:
        self._logged.add(broken.path)
        logging.warning('A clip is skipped: %s', broken)
      record = self._source[int(rng.integers(len(self._source)))]
    raise RuntimeError(
        f'{_MAX_TRIES} clips in a row could not be read, the last: {broken}'
    ) from broken

  def _sample(self, record, rng) -> dict[str, np.ndarray]:
    numbers, deltas = frame_sampling.draw_frames(
        rng,
        self._spacing,
        record['num_frames'],
        record['frame_rate'],
        record['window'],
    )
    read, places = np.unique(numbers, return_inverse=True)
    frames = record['read'](read)
    box = crops.draw_box(rng, *frames.shape[1:3], self._area, self._aspect)
    is_flipped = rng.random() < self._flip
    frames = crops.crop(frames, box, self._height, self._width, is_flipped)
    frames = frames[places]
    num_source = self._spacing.num_source
    return {
        'source': frames[:num_source],
        'target': frames[num_source:],
        'deltas': deltas.astype(np.int32),
        'clip': np.array(
            [self._number, record['clip'][0], numbers[0]], np.int64
        ),
    }


@functools.cache
def live_with_parent():
  """Lets a worker live as long as its run: grain leaves both cases open.

  It ends when the run is killed, and stays when a signal to stop goes to all
  processes of a group: the run still has to save, and closes its workers.
  """
  parent = multiprocessing.parent_process()
  if parent is not None:
    if threading.current_thread() is threading.main_thread():
      signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def wait():
      parent.join()
      os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
