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
from rvm_jax.baselines import encoder as rival_lib
from rvm_jax.baselines import features as features_lib
from rvm_jax.data.video import decoder
from rvm_jax.features import playback
from rvm_jax.features import views
from rvm_jax.ops import patches
from rvm_jax.storage import arrays as arrays_lib

AnyEncoder = streaming.Encoder | rival_lib.Encoder


def extract(
    encoder: AnyEncoder,
    path: str,
    output: str,
    checkpoint: Mapping[str, str],
    *,
    height: int | None,
    width: int | None,
    fit: str,
    dtype: str,
) -> arrays_lib.Store:
  """Writes the features of one video, or continues where a run was stopped.

  Args:
    encoder: the model with its parameters, RVM or a rival.
    path: path of the video, a file or a folder of pictures.
    output: path of the store, a folder.
    checkpoint: attributes of the store that identify the parameters:
      'checkpoint_path' and 'checkpoint_fingerprint'.
    height: height in pixels that frames are resized to, or None. `views.choose`
      describes the effect of `height`, `width` and `fit`.
    width: width in pixels that frames are resized to, or None.
    fit: 'crop' or 'stretch'.
    dtype: dtype of the features on disk, 'float32' or 'float16'.

  Returns:
    The complete store.

  Raises:
    ValueError: the file is not a video (BrokenVideo); its frames are smaller
      than a patch; features are not finite; or the store was made from another
      file, with another checkpoint, or with other settings.
    OSError: the store cannot be written, for example on a full disk.
  """
  # The first frame gives the size of all; a video without frames raises here.
  video = playback.Playback(path)
  frames = iter(video)
  first = next(frames)
  source = decoder.shape(first.picture)
  view = views.choose(source, height, width, encoder.model.patch, fit)
  store = _open_store(path, output, view, encoder, checkpoint, dtype)
  if store.is_complete:
    return store
  # Frames that are in the store are decoded again but not encoded again.
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
        f'{path} gave {video.num_frames} frames this time, but {output} has'
        f' {store.num_frames}: delete {output} and run the command again'
    )
  claimed = {'num_frames_claimed': video.num_claimed}
  store.finish(claimed | {'notes': video.notes()})
  return store


def _encode(
    encoder: AnyEncoder,
    frames: Iterable[playback.Frame],
    view: views.View,
    store: arrays_lib.Store,
    dtype: str,
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
  """Encodes the frames that the store lacks, a chunk at a time.

  Args:
    encoder: the model with its parameters.
    frames: all good frames of the video, in order.
    view: the box that is cut from each frame, and the size it is resized to.
    store: the store, which gives the number of frames that it has and the
      number of frames in a chunk.
    dtype: dtype of the features on disk.

  Yields:
    The arrays of a chunk by name; and the state after it, float32
    [1, 1 + N, D], or [0] for a rival, which has no state.
  """
  state = store.carried
  chunks = views.crop_chunks(frames, view, store.num_frames, store.chunk)
  with futures.ThreadPoolExecutor(1) as thread:
    # The next chunk is decoded while the model encodes this one.
    ahead = thread.submit(next, chunks, None)
    while chunk := ahead.result():
      ahead = thread.submit(next, chunks, None)
      times, images = chunk
      if isinstance(encoder, rival_lib.Encoder):
        # The last chunk ends in black frames. A rival gets only the frames of
        # the video, because the features of a clip depend on how it is filled
        # up, and the rival fills it up by its own rule.
        images = images[: len(times)]
      found = encoder(images, state)
      state = found.state
      arrays = {'patches': found.patches, 'cls': found.cls}
      yield {
          name: arrays_lib.cast(array[: len(times)], dtype)
          for name, array in arrays.items()
          if array is not None
      } | {'timestamps': times}, np.asarray(state)


def _open_store(
    path: str,
    output: str,
    view: views.View,
    encoder: AnyEncoder,
    checkpoint: Mapping[str, str],
    dtype: str,
) -> arrays_lib.Store:
  """Opens the store of a video, or creates it.

  Its settings (checkpoint, size and modification time of the source,
  preprocessing) decide what the features are: a store with other settings is
  refused. The other attributes only describe the features.
  """
  model = encoder.model
  grid = patches.grid(view.height, view.width, model.patch)
  size, time = _stamp(path)
  # The sizes of the model are the fields of its module, except the two that
  # Flax adds.
  sizes = {field.name for field in dataclasses.fields(model)}
  sizes -= {'parent', 'name'}
  preprocessing = view.describe()
  has_cls = True
  chunk = streaming.choose_chunk(1, 1 + grid[0] * grid[1])
  if isinstance(encoder, rival_lib.Encoder):
    has_cls = bool(model.num_prefix)
    chunk = encoder.chunk
    about = features_lib.describe(model, encoder.variant)
    preprocessing['colours'] = f'{encoder}, {about}'
  return arrays_lib.open_or_create(
      output,
      settings={
          'checkpoint_fingerprint': checkpoint['checkpoint_fingerprint'],
          'source_size': size,
          'source_mtime_ns': time,
          'preprocessing': preprocessing,
      },
      about={
          **checkpoint,
          'source_path': os.path.abspath(path),
          'model': {name: getattr(model, name) for name in sorted(sizes)}
          | {'dtype': np.dtype(model.dtype).name},
          'patch': model.patch,
          'grid': list(grid),
          'rvm_jax': metadata.version('rvm_jax'),
      },
      chunk=chunk,
      arrays={
          'patches': ((*grid, model.width), dtype),
          'timestamps': ((), 'float64'),
      }
      | ({'cls': ((model.width,), dtype)} if has_cls else {}),
  )


def _stamp(path: str) -> tuple[int, int]:
  """Returns the size of a video in bytes and when it changed last.

  Args:
    path: path of a file, or of a folder of pictures, whose sizes are added up
      and of which the last change counts.

  Returns:
    The size, and the time in nanoseconds.
  """
  paths = [path]
  if os.path.isdir(path):
    paths = [os.path.join(path, name) for name in os.listdir(path)]
  statuses = [os.stat(x) for x in paths]
  sizes = sum(status.st_size for status in statuses)
  return sizes, max(status.st_mtime_ns for status in statuses)
