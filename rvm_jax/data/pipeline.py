"""From sources to batches: clips drawn, read, cropped, mixed, prefetched.

The order of samples and what is in them follow from the seed and the sources
alone. They are the same for any number of workers, of shards and of restarts,
and the position in them is one integer.

Samples are dicts of arrays, here with the shapes of a batch of B:
  source: uint8 [B, T, H, W, 3], RGB, frames that follow each other.
  target: uint8 [B, K, H, W, 3], frames ahead of them.
  deltas: int32 [B, K], distance of each target from the *first* source frame.
  clip: int64 [B, 3], number of the source, of the video in it, and of the
    first source frame: `Pipeline.describe` says what they stand for.
  skipped: int32 [B], records that could not be read before this one could.
"""

from collections.abc import Iterator
from typing import Any

from absl import logging
import grain
from grain import experimental as grain_experimental
import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import sampler as sampler_module
from rvm_jax.data import skipping
from rvm_jax.data import sources as sources_module


class Pipeline:
  """A weighted mixture of sources as an endless stream of batches."""

  def __init__(
      self,
      *,
      sources: tuple[str, ...],
      weights: tuple[float, ...],
      num_scenes: int,
      batch_size: int,
      num_source: int,
      num_target: int,
      stride: int,
      min_gap: int,
      max_gap: int,
      frame_rate: float | None,
      height: int,
      width: int,
      crop_area: tuple[float, float],
      crop_aspect: tuple[float, float],
      flip: float,
      max_bad_share: float,
      num_workers: int,
      prefetch: int,
      seed: int,
      shard_index: int = 0,
      shard_count: int = 1,
  ):
    """Opens (and if need be indexes) the sources.

    Args:
      sources: folders, globs, manifests or videos; or the word 'scenes', for
        scenes that are generated on the fly.
      weights: share of each source in the samples, relative to the others.
      num_scenes: how many different scenes 'scenes' stands for.
      batch_size: samples in a batch, over all shards.
      num_source: T, source frames.
      num_target: K, target frames.
      stride: from one source frame to the next.
      min_gap: least distance of a target from the last source frame.
      max_gap: greatest such distance.
      frame_rate: at which videos are sampled (frames per second), by the
        nearest frame; None for each video's own rate.
      height: of the frames, pixels.
      width: of the frames, pixels.
      crop_area: least and greatest share of the frame's area in a crop.
      crop_aspect: least and greatest width / height of a crop.
      flip: probability of a horizontal flip.
      max_bad_share: of the videos of a source; with more it is refused.
      num_workers: processes that decode; 0 for a thread of this process.
        Workers need parsed absl flags and a guarded `__main__`.
      prefetch: batches that each worker keeps ready, at least 1.
      seed: of all randomness, 0 or more.
      shard_index: of this process among those that read the same data.
      shard_count: number of such processes.

    Raises:
      ValueError: settings that do not fit together, or unusable sources.
    """
    if not sources or len(sources) != len(weights):
      raise ValueError(
          f'expected one weight for each source, got sources={sources} and'
          f' weights={weights}'
      )
    if min(weights) <= 0:
      raise ValueError(f'weights={weights} must be positive')
    if batch_size % shard_count:
      raise ValueError(
          f'batch_size={batch_size} must be a multiple of {shard_count} shards'
      )
    if prefetch < 1:
      raise ValueError(f'prefetch={prefetch} must be at least 1')
    spacing = frame_sampling.Spacing(
        num_source, num_target, stride, min_gap, max_gap, frame_rate
    )
    self._sources = [
        _scenes(num_scenes, height, width, seed)
        if place == 'scenes'
        else sources_module.Videos(place, spacing, max_bad_share)
        for place in sources
    ]
    self._batch_size = batch_size
    self._shard = grain.sharding.ShardOptions(shard_index, shard_count)
    self._num_workers = num_workers
    self._prefetch = prefetch
    parts = []
    for number, source in enumerate(self._sources):
      sampler = sampler_module.Sampler(
          number, source, spacing, height, width, crop_area, crop_aspect, flip
      )
      seeds = np.random.SeedSequence((seed, number)).generate_state(2)
      order_seed, sample_seed = seeds.tolist()
      parts.append(
          grain.MapDataset.range(len(source))
          .shuffle(seed=order_seed)
          .repeat()
          .random_map(
              skipping.SkipBroken(sampler, len(source), 'clip'),
              seed=sample_seed,
          )
      )
    self._dataset = grain.MapDataset.mix(parts, weights)

  def iterator(self) -> 'Batches':
    """Returns a new iterator at the beginning of the stream."""
    elastic = grain_experimental.ElasticIterator(
        self._dataset,
        self._batch_size,
        self._shard,
        read_options=grain.ReadOptions(
            num_threads=1, prefetch_buffer_size=self._prefetch
        ),
        multiprocessing_options=grain.MultiprocessingOptions(
            num_workers=self._num_workers
        ),
    )
    return Batches(elastic, [len(source) for source in self._sources])

  def first(self, count: int) -> dict[str, np.ndarray]:
    """Returns the stream's first samples as a batch, the same in all shards."""
    samples = [self._dataset[number] for number in range(count)]
    return {
        key: np.stack([sample[key] for sample in samples]) for key in samples[0]
    }

  def describe(self, clip: np.ndarray) -> str:
    """Says where a clip [3] comes from: '/videos/a.mp4 from frame 120'."""
    return self._sources[int(clip[0])].describe(clip[1:])


class Batches(Iterator):
  """Batches of this shard; close it when done, workers may be behind it."""

  def __init__(self, iterator, lengths: list[int]):
    self._iterator = iterator
    self._lengths = lengths

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns the next batch: this shard's samples (see the module)."""
    return next(self._iterator)

  def get_state(self) -> dict[str, Any]:
    """Returns the position, good for JSON and the same in all shards."""
    return self._iterator.get_state() | {'num_records': self._lengths}

  def set_state(self, state: dict[str, Any]):
    """Goes to a position that any shard's `get_state` gave.

    Workers, shards and batch size may have changed since. If the sources have,
    the order of samples is another one: a warning says so.
    """
    if state['num_records'] != self._lengths:
      logging.warning(
          'The data has changed: sources had %s records, and have %s. Samples'
          ' come in another order than before.',
          state['num_records'],
          self._lengths,
      )
    self._iterator.set_state(state)

  def close(self):
    """Ends the workers."""
    self._iterator.close()


def _scenes(num_scenes: int, height: int, width: int, seed: int):
  # MuJoCo is needed only here.
  from rvm_jax.data.scenes import source as source_lib  # pylint: disable=g-import-not-at-top

  return source_lib.Scenes(num_scenes, height, width, seed)
