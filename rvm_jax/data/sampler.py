"""Cuts samples from the records of a source."""

import numpy as np

from rvm_jax.data import crops
from rvm_jax.data import frame_sampling
from rvm_jax.data import records
from rvm_jax.data import skipping
from rvm_jax.data.video import reader


class Sampler:
  """Cuts samples from the records of one source, given by their numbers."""

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
      room: tuple[int, int] | None = None,
  ):
    """Creates a sampler.

    Args:
      source_number: number of the source among those of the pipeline.
      source: source of the records.
      spacing: distances between the frames of a sample.
      height: height of the samples in pixels.
      width: width of the samples in pixels.
      area: least and greatest share of a frame's area in a crop.
      aspect: least and greatest width / height of a crop.
      flip: probability of a horizontal flip.
      room: greatest height and width in pixels of the boxes that devices resize
        and flip; None if the sampler resizes and flips.
    """
    self._source_number = source_number
    self._source = source
    self._spacing = spacing
    self._height = height
    self._width = width
    self._area = area
    self._aspect = aspect
    self._flip = flip
    self._room = room

  def __call__(
      self, number: int, rng: np.random.Generator
  ) -> dict[str, np.ndarray]:
    """Returns one sample of record `number`: arrays of `cut` without axis R."""
    return {key: x[0] for key, x in self.cut(number, rng, 1).items()}

  def cut(
      self, number: int, rng: np.random.Generator, repeats: int
  ) -> dict[str, np.ndarray]:
    """Returns several samples of record `number`, which is read once.

    Each sample has frames, a crop and a flip of its own. All frames that the
    samples need, up to R * (T + K) at the video's full size, are in memory
    together.

    Args:
      number: number of the record.
      rng: random generator.
      repeats: number of samples R, 1 or more.

    Returns:
      The arrays of a batch that the `pipeline` module lists, without 'skipped'.
      Their first axis has the R samples in place of B.

    Raises:
      skipping.BrokenRecord: the record cannot be read.
    """
    record = self._source[number]
    # Choose the frames of all samples, and read each frame once.
    drawn = [
        frame_sampling.sample_frames(
            rng,
            self._spacing,
            record.num_frames,
            record.frame_rate,
            record.window,
        )
        for _ in range(repeats)
    ]
    read = np.unique([numbers for numbers, _ in drawn])
    try:
      frames = record.read(read)
    except reader.BrokenVideo as error:
      raise skipping.BrokenRecord(error.path, error.reason) from error
    # Crop each sample from its own frames; `read` is sorted.
    samples = []
    for numbers, deltas in drawn:
      clip = self._source_number, record.clip[0], numbers[0]
      samples.append(
          self._crop(rng, frames, np.searchsorted(read, numbers))
          | {
              'deltas': deltas.astype(np.int32),
              'clip': np.array(clip, np.int64),
          }
      )
    return {key: np.stack([x[key] for x in samples]) for key in samples[0]}

  def _crop(
      self, rng: np.random.Generator, frames: np.ndarray, places: np.ndarray
  ) -> dict[str, np.ndarray]:
    """Returns the frames of one sample with one random crop and flip.

    Args:
      rng: random generator.
      frames: the n frames that were read, at the video's size, uint8
        [n, height, width, 3].
      places: for each frame of the sample its place in `frames`, int64 [T + K].

    Returns:
      'source' and 'target'; with `room` also 'box_size' and 'is_flipped'.
    """
    box = crops.sample_box(rng, *frames.shape[1:3], self._area, self._aspect)
    is_flipped = rng.random() < self._flip
    # Targets come in any order and may coincide: resize each frame once, and
    # then put it in all of its places.
    chosen, order = np.unique(places, return_inverse=True)
    chosen_frames = [frames[place] for place in chosen]
    size = self._height, self._width
    # What is left for a device to do; empty without `room`.
    todo = {}
    if self._room is None:
      cropped = crops.crop(chosen_frames, box, *size, is_flipped)
    else:
      cropped, box_size = crops.cut(chosen_frames, box, *size, self._room)
      todo['box_size'] = np.array(box_size, np.int32)
      todo['is_flipped'] = np.array(is_flipped)
    cropped = cropped[order]  # [T + K, H, W, 3]
    num_source = self._spacing.num_source
    return {
        'source': cropped[:num_source],
        'target': cropped[num_source:],
    } | todo
