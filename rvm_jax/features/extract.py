"""Extracts the features of one video into a store on disk."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
import dataclasses
from importlib import metadata
import itertools
import os

import numpy as np
import tqdm

from rvm_jax import streaming
from rvm_jax.data.video import decoder
from rvm_jax.features import playback
from rvm_jax.features import views
from rvm_jax.ops import patches
from rvm_jax.storage import arrays as arrays_lib


def extract(
    encoder: streaming.Encoder,
    path: str,
    output: str,
    checkpoint: Mapping[str, str],
    *,
    height: int | None,
    width: int | None,
    fit: str,
    dtype: str,
) -> arrays_lib.Store:
  """Writes the features of one video, or what is missing of them.

  Args:
    encoder: a model with its parameters.
    path: the video.
    output: folder of the store.
    checkpoint: attributes that tell whose features these are.
    height, width, fit: what the model sees of a frame, see `views.choose`.
    dtype: of the features on disk, 'float32' or 'float16'.

  Returns:
    The store, complete.

  Raises:
    ValueError: not a video (BrokenVideo); frames smaller than a patch; features
      that are not finite; or a store that was made from another source, with
      another checkpoint or in another way.
    OSError: the store cannot be written (any more).
  """
  video = playback.Playback(path)
  frames = iter(video)
  first = next(frames)  # A video without any raises.
  source = decoder.shape(first.picture)
  view = views.choose(source, height, width, encoder.model.patch, fit)
  store = _open_store(path, output, view, encoder.model, checkpoint, dtype)
  if store.is_complete:
    return store
  with tqdm.tqdm(
      desc=os.path.basename(path),
      total=video.num_claimed or None,
      initial=store.num_frames,
      unit=' frames',
  ) as bar:
    frames = itertools.chain([first], frames)
    for arrays, state in _encode(encoder, frames, view, store, dtype):
      store.append(arrays, carried=state)
      bar.update(store.num_frames - bar.n)
  if video.num_frames != store.num_frames:
    raise ValueError(
        f'{path} gave {video.num_frames} frames this time, {output} has'
        f' {store.num_frames}: delete it and run again'
    )
  claimed = {'num_frames_claimed': video.num_claimed}
  store.finish(claimed | {'notes': video.notes()})
  return store


def _encode(
    encoder: streaming.Encoder,
    frames: Iterable[playback.Frame],
    view: views.View,
    store: arrays_lib.Store,
    dtype: str,
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
  """Yields what the store lacks, chunk by chunk, and the state after it."""
  state = store.carried
  parts = views.crop_batches(frames, view, store.num_frames, store.chunk)
  with futures.ThreadPoolExecutor(1) as thread:
    # The next part is decoded while this one goes through the model.
    ahead = thread.submit(next, parts, None)
    while part := ahead.result():
      ahead = thread.submit(next, parts, None)
      times, images = part
      found = encoder(images, state)
      state = found.state
      yield {
          'patches': arrays_lib.cast(found.patches[: len(times)], dtype),
          'cls': arrays_lib.cast(found.cls[: len(times)], dtype),
          'timestamps': times,
      }, np.asarray(state)


def _open_store(
    path, output, view, model, checkpoint, dtype
) -> arrays_lib.Store:
  grid = patches.grid(view.height, view.width, model.patch)
  status = os.stat(path)
  sizes = {field.name for field in dataclasses.fields(model)}
  sizes -= {'parent', 'name'}
  return arrays_lib.open_or_create(
      output,
      settings={
          'checkpoint_fingerprint': checkpoint['checkpoint_fingerprint'],
          'source_size': status.st_size,
          'source_mtime_ns': status.st_mtime_ns,
          'preprocessing': view.describe(),
      },
      about={
          **checkpoint,
          'source_path': os.path.abspath(path),
          'model': {name: getattr(model, name) for name in sorted(sizes)},
          'patch': model.patch,
          'grid': list(grid),
          'rvm_jax': metadata.version('rvm_jax'),
      },
      chunk=streaming.choose_chunk(1, 1 + grid[0] * grid[1]),
      arrays={
          'patches': ((*grid, model.width), dtype),
          'cls': ((model.width,), dtype),
          'timestamps': ((), 'float64'),
      },
  )
