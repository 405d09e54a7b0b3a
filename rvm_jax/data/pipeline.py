"""The stream of batches that a model is trained on.

Records of several sources are shuffled and mixed. One or more samples are cut
from each record and cropped. Samples are put into batches ahead of time.

The order of the samples and their contents depend on the seed and the sources
alone. They are the same for any number of workers and shards and after any
restart, and the position in the stream is one integer, a number of records.

A batch is a dict of arrays of B samples:
  source: T source frames, evenly spaced, RGB, uint8 [B, T, H, W, 3].
  target: K target frames, which come later, RGB, uint8 [B, K, H, W, 3].
  deltas: frames from the first source frame to each target, counted at the
    rate at which the video is sampled, int32 [B, K].
  clip: what each sample was cut from, int64 [B, 3]: number of the source,
    number of the clip in it, and number of the first source frame in the clip.
    `Pipeline.describe` turns these numbers into a name.
  skipped: number of broken records that this sample replaces, int32 [B].

With `box_height` and `box_width`, devices resize the crops. Each frame then has
this size, with the box in its top left corner, and a batch has two more arrays:
  box_size: height and width of each sample's box in pixels, int32 [B, 2].
  is_flipped: whether the device must flip the sample, bool [B].
"""

from collections.abc import Sequence
from concurrent import futures

import grain
from grain import experimental as grain_experimental
import numpy as np

from rvm_jax.data import blocks
from rvm_jax.data import crops
from rvm_jax.data import frame_sampling
from rvm_jax.data import held_out as held_out_lib
from rvm_jax.data import read_ahead
from rvm_jax.data import records
from rvm_jax.data import repeats as repeats_lib
from rvm_jax.data import sampler as sampler_lib
from rvm_jax.data import sources as sources_lib
from rvm_jax.data import windows

# Seeds with which samples of the videos kept out of training are chosen.
_HELD_OUT_SEEDS = (0, 1)


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
      held_out_share: float = 0.0,
      repeats: int = 1,
      box_height: int | None = None,
      box_width: int | None = None,
      num_workers: int,
      prefetch: int,
      seed: int,
      shard_index: int = 0,
      shard_count: int = 1,
  ):
    """Opens the sources, and indexes videos that are not indexed yet.

    Args:
      sources: the sources, each a folder, glob, manifest, video or prepared set
        as `listing.find` takes it; the folder or URL of a packed set, see
        `shards`; or the word 'scenes' for generated scenes.
      weights: relative share of each source in the samples, above 0.
      num_scenes: number of different scenes in the source 'scenes'.
      batch_size: number of samples in a batch, over all shards.
      num_source: number of source frames T of a sample.
      num_target: number of target frames K of a sample.
      stride: frames from one source frame to the next.
      min_gap: least number of frames from the last source frame to a target.
      max_gap: greatest number of frames from the last source frame to a target.
      frame_rate: rate at which videos are sampled, by the nearest frame, in
        frames per second; None for each video's own rate.
      height: height H of the samples in pixels.
      width: width W of the samples in pixels.
      crop_area: least and greatest share of a frame's area in a crop.
      crop_aspect: least and greatest width / height of a crop.
      flip: probability of a horizontal flip.
      max_bad_share: greatest share of bad clips that a source may have.
      held_out_share: share of the video files to keep out of training, chosen
        by a hash of their names, see `held_out`.
      repeats: number of samples to cut from a record each time it is read. They
        are neighbours in a batch, see the module `repeats`.
      box_height: greatest height in pixels, at least `height`, of a box that
        devices resize and flip. The host resizes larger boxes. None for the
        host to resize all boxes.
      box_width: greatest width in pixels, at least `width`, of such a box; None
        if `box_height` is None.
      num_workers: number of processes that read samples; 0 for a thread of this
        process. Worker processes need parsed absl flags, and a main module
        guarded by `if __name__ == '__main__'`.
      prefetch: number of batch parts to read ahead, 1 or more (`ReadAhead`).
      seed: seed of all randomness, 0 or more.
      shard_index: number of this process among those that share each batch.
      shard_count: number of processes that share each batch.

    Raises:
      ValueError: settings do not fit together, or a source is not usable.
    """
    if not sources or len(sources) != len(weights):
      raise ValueError(
          f'expected one weight for each source, got sources={sources} and'
          f' weights={weights}'
      )
    if min(weights) <= 0:
      raise ValueError(f'weights={weights} must be positive')
    if batch_size % (shard_count * repeats):
      raise ValueError(
          f'batch_size={batch_size} must be a multiple of {shard_count} shards'
          f' x {repeats} repeats'
      )
    if prefetch < 1:
      raise ValueError(f'prefetch={prefetch} must be at least 1')
    spacing = frame_sampling.Spacing(
        num_source, num_target, stride, min_gap, max_gap, frame_rate
    )
    self._sources: list[records.Source] = []
    kept_out: dict[int, windows.Windows] = {}
    num_clips = 0
    for number, place in enumerate(sources):
      if place == 'scenes':
        self._sources.append(_scenes(num_scenes, height, width, seed))
        continue
      videos = sources_lib.find(place, spacing, max_bad_share)
      num_clips += videos.num_clips
      training, held_out = videos.split(held_out_share)
      if training is None:
        raise ValueError(
            f'held_out_share={held_out_share} keeps all of {place!r},'
            f' {videos.num_clips} clips, out of training: lower it'
        )
      self._sources.append(training)
      if held_out is not None:
        kept_out[number] = held_out
    # A batch is counted in records, each of which gives `repeats` samples.
    self._batch_size = batch_size // repeats
    self._repeats = repeats
    self._shard = grain.sharding.ShardOptions(shard_index, shard_count)
    num_records = self._batch_size // shard_count
    self._ahead = read_ahead.choose(num_workers, prefetch, num_records, repeats)

    def make_stream(number, source, seeds, repeats=1, room=None):
      """Returns an endless stream of samples, reshuffled in every epoch."""
      sampler = sampler_lib.Sampler(
          number,
          source,
          spacing,
          height,
          width,
          crop_area,
          crop_aspect,
          flip,
          room,
      )
      order_seed, sample_seed = (
          np.random.SeedSequence(seeds).generate_state(2).tolist()
      )
      return (
          grain.MapDataset.range(len(source))
          .shuffle(seed=order_seed)
          .repeat()
          .random_map(
              repeats_lib.Reader(sampler, len(source), repeats),
              seed=sample_seed,
          )
      )

    def mix(room):
      """Returns the mixture of all sources, as a stream to train on."""
      streams = [
          make_stream(number, source, (seed, number), repeats, room)
          for number, source in enumerate(self._sources)
      ]
      return grain.MapDataset.mix(streams, weights)

    self._resized = mix(None)  # For `first`, even if devices resize batches.
    self._dataset = mix(crops.boxes_room(height, width, box_height, box_width))
    # Samples of the videos kept out do not depend on the run's seed, so that
    # runs with different seeds are compared on the same samples.
    self._held_out = kept_out and grain.MapDataset.mix(
        [
            make_stream(number, source, _HELD_OUT_SEEDS + (number,))
            for number, source in kept_out.items()
        ],
        [weights[number] for number in kept_out],
    )
    if held_out_share:
      held_out_lib.report(
          held_out_share,
          sum(videos.num_clips for videos in kept_out.values()),
          num_clips,
      )

  def iterator(self) -> repeats_lib.Batches:
    """Returns a new iterator at the beginning of the stream."""
    samples = blocks.Blocks(
        self._dataset, self._batch_size, self._shard.shard_count
    )
    part_size = self._batch_size // self._ahead.num_parts
    elastic = grain_experimental.ElasticIterator(
        samples, part_size, self._shard, **self._ahead.options()
    )
    lengths = [len(source) for source in self._sources]
    return repeats_lib.Batches(elastic, samples, lengths, self._ahead)

  def first(self, count: int) -> dict[str, np.ndarray]:
    """Returns the first `count` samples of the stream as one batch.

    The samples are the same in all shards and do not depend on iterators. All
    of them are resized on the host.
    """
    num_records = -(-count // self._repeats)
    rows = repeats_lib.join([self._resized[n] for n in range(num_records)])
    return {key: x[:count] for key, x in rows.items()}

  @property
  def max_clips_ahead(self) -> int:
    """Greatest number of samples that are read but not yet taken in a batch.

    This includes the samples of all workers and those that are being read.
    """
    num_records = self._batch_size // self._shard.shard_count
    part_size = num_records // self._ahead.num_parts * self._repeats
    return self._ahead.max_parts * part_size

  @property
  def has_held_out(self) -> bool:
    """Whether there are videos that are kept out of training."""
    return bool(self._held_out)

  def read_held_out(self, numbers: Sequence[int]) -> dict[str, np.ndarray]:
    """Returns samples of the videos that are kept out of training.

    These samples are an endless stream too, which is the same in all shards and
    for every seed of the run.

    Args:
      numbers: numbers of the samples in this stream, one or more.

    Raises:
      ValueError: there are no such videos.
    """
    if not self._held_out:
      raise ValueError('no videos are kept out of training')
    # Decoding releases Python's lock, so threads share the work.
    with futures.ThreadPoolExecutor(max(1, self._ahead.num_workers)) as pool:
      return repeats_lib.join(
          list(pool.map(self._held_out.__getitem__, numbers))
      )

  def facts(self) -> dict[str, str]:
    """Returns, by name of a source, its number of records and fingerprint.

    All processes that share the batches of a run must have the same facts.
    """
    return {
        f'source {number} of config.data.sources': (
            f'{len(source)} records ({source.fingerprint()})'
        )
        for number, source in enumerate(self._sources)
    }

  def describe(self, clip: np.ndarray) -> str:
    """Returns a readable name for one row of a batch's 'clip', int64 [3].

    A sample of a video has a name like '/videos/a.mp4 from frame 120'.
    """
    return self._sources[int(clip[0])].describe(clip[1:])


def _scenes(
    num_scenes: int, height: int, width: int, seed: int
) -> records.Source:
  """Returns the source of generated scenes."""
  # Imported here, because only generated scenes need MuJoCo.
  from rvm_jax.data.scenes import source as source_lib  # pylint: disable=g-import-not-at-top

  return source_lib.Scenes(num_scenes, height, width, seed)
