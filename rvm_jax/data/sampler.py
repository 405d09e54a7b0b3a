"""Cuts samples from the records of a source."""

import numpy as np

from rvm_jax.data import crops
from rvm_jax.data import frame_sampling
from rvm_jax.data import records
from rvm_jax.data import skipping
from rvm_jax.data.video import reader


class Sampler:
  """Turns the number of a record and a random generator into a sample."""

  def __init__(
      self,
      source_number: int,
      source: records.Source,
      spacing: frame_sampling.Spacing,
      height: int,
      width: int,
      area: tuple[float, float],
      aspect: tuple[float, float],
      flip: float,
  ):
    """Takes a source and how to cut samples from it.

    Args:
      source_number: number of the source among those of the pipeline.
      source: the source.
      spacing: distances between the frames of a sample.
      height: height of the samples in pixels.
      width: width of the samples in pixels.
      area: least and greatest share of a frame's area in a crop.
      aspect: least and greatest width / height of a crop.
      flip: probability of a horizontal flip.
    """
    self._source_number = source_number
    self._source = source
    self._spacing = spacing
    self._height = height
    self._width = width
    self._area = area
    self._aspect = aspect
    self._flip = flip

  def __call__(
      self, number: int, rng: np.random.Generator
  ) -> dict[str, np.ndarray]:
    """Returns one sample of record `number`.

    Returns:
      The arrays that `pipeline` describes, without the batch axis and without
      'skipped'.

    Raises:
      skipping.BrokenRecord: the record cannot be read.
    """
    record = self._source[number]
    numbers, deltas = frame_sampling.sample_frames(
        rng,
        self._spacing,
        record.num_frames,
        record.frame_rate,
        record.window,
    )
    # Targets come in any order and may coincide: each frame is read and
    # resized once, and then put in all of its places.
    read, places = np.unique(numbers, return_inverse=True)
    try:
      frames = record.read(read)
    except reader.BrokenVideo as error:
      raise skipping.BrokenRecord(error.path, error.reason) from error
    box = crops.sample_box(rng, *frames.shape[1:3], self._area, self._aspect)
    is_flipped = rng.random() < self._flip
    frames = crops.crop(frames, box, self._height, self._width, is_flipped)
    frames = frames[places]  # [T + K, H, W, 3]
    num_source = self._spacing.num_source
    return {
        'source': frames[:num_source],
        'target': frames[num_source:],
        'deltas': deltas.astype(np.int32),
        'clip': np.array(
            [self._source_number, record.clip[0], numbers[0]], np.int64
        ),
    }
