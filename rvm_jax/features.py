"""Features of whole videos, of any length, written to disk as they come.

  python -m rvm_jax.features VIDEO... --checkpoint PATH --out DIR

Each video gives a zarr group (format 2) DIR/NAME.zarr with the arrays
  patches     [T, h, w, D], the state after each frame, a vector a patch
  cls         [T, D], the vector of the frame as a whole
  timestamps  [T] float64, seconds by the file's clock; NaN where it gives none
and attributes that say what made them: checkpoint, model, source,
preprocessing, grid, `num_frames`, `complete`, and in `notes` what is missing.

Frames keep their size, but for less than a patch at the borders, which is cut
off so that both sides are multiples of the patch. With --height or --width they
are resized (bicubic, antialiased); of only one, the other follows from the
frame, to the nearest multiple of the patch. --fit=crop cuts off, on both sides
alike, what the new shape has no room for; --fit=stretch distorts instead.

Memory does not grow with the length of a video. A run that was stopped, in
whatever way, goes on when it is started again: on the same machine the result
is that of a run that was not stopped, bit for bit. What is complete is left
alone. Of a damaged video the good frames are kept, with their own timestamps,
and each gap is noted; the state is carried across it.

Exit code: 0 if all is complete, 1 if not, 2 if the arguments are wrong.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent import futures
import dataclasses
from importlib import metadata
import itertools
import os
import sys

import numpy as np
import tqdm

from rvm_jax import streaming
from rvm_jax.data import decoder
from rvm_jax.data import playback
from rvm_jax.data import stores
from rvm_jax.data import views
from rvm_jax.weights import trees

_NUM_NOTES_SHOWN = 5


def main(arguments: Sequence[str] | None = None) -> int:
  """Extracts what `arguments` ask for; returns the exit code."""
  options = _parse(arguments)
  try:
    outputs = _outputs(options.videos, options.out)
    encoder = streaming.load(options.checkpoint)
    views.check(options.height, options.width, encoder.model.patch)
    os.makedirs(options.out, exist_ok=True)
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  checkpoint = {
      'checkpoint_path': os.path.abspath(options.checkpoint),
      'checkpoint_fingerprint': trees.fingerprint(encoder.params),
  }
  num_failed = 0
  for output, path in outputs.items():
    try:
      store = extract(
          encoder,
          path,
          output,
          checkpoint,
          height=options.height,
          width=options.width,
          fit=options.fit,
          dtype=options.dtype,
      )
    except ValueError as error:
      is_broken = isinstance(error, decoder.BrokenVideo)
      reason = error.reason if is_broken else error
      print(f'{path} failed: {reason}', file=sys.stderr)
      num_failed += 1
      continue
    except OSError as error:
      print(f'{output} cannot be written: {error}', file=sys.stderr)
      print('Stopped; the same command goes on from here', file=sys.stderr)
      return 1
    print(f'{output}: {store.num_frames} frames')
    notes = store.attributes['notes']
    for note in notes[:_NUM_NOTES_SHOWN]:
      print(f'  {note}')
    if len(notes) > _NUM_NOTES_SHOWN:
      print(f'  and {len(notes) - _NUM_NOTES_SHOWN} more in its notes')
  return 1 if num_failed else 0


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
) -> stores.Store:
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
    store: stores.Store,
    dtype: str,
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
  """Yields what the store lacks, chunk by chunk, and the state after it."""
  state = store.carried
  parts = views.draw_parts(frames, view, store.num_frames, store.chunk)
  with futures.ThreadPoolExecutor(1) as thread:
    # The next part is decoded while this one goes through the model.
    ahead = thread.submit(next, parts, None)
    while part := ahead.result():
      ahead = thread.submit(next, parts, None)
      times, images = part
      found = encoder(images, state)
      state = found.state
      yield {
          'patches': _cast(found.patches[: len(times)], dtype),
          'cls': _cast(found.cls[: len(times)], dtype),
          'timestamps': times,
      }, np.asarray(state)


def _cast(features: np.ndarray, dtype: str) -> np.ndarray:
  with np.errstate(over='ignore'):
    result = features.astype(dtype)
  if not np.isfinite(result).all():
    raise ValueError(f'the features are not finite numbers in {dtype}')
  return result


def _open_store(path, output, view, model, checkpoint, dtype) -> stores.Store:
  grid = view.height // model.patch, view.width // model.patch
  status = os.stat(path)
  sizes = {field.name for field in dataclasses.fields(model)}
  sizes -= {'parent', 'name'}
  return stores.open_or_create(
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


def _outputs(videos: Sequence[str], folder: str) -> dict[str, str]:
  """The video that each store is made from."""
  outputs = {}
  for path in dict.fromkeys(os.path.abspath(video) for video in videos):
    name, _ = os.path.splitext(os.path.basename(path))
    output = os.path.join(folder, f'{name}.zarr')
    if output in outputs:
      raise ValueError(
          f'{outputs[output]} and {path} would both go into {output}: write'
          ' them into different folders'
      )
    outputs[output] = path
  return outputs


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.features',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('videos', nargs='+', metavar='VIDEO')
  parser.add_argument(
      '--checkpoint', required=True, help='what `rvm_jax.load` loads'
  )
  parser.add_argument('--out', required=True, help='folder of the stores')
  for side in ('--height', '--width'):
    parser.add_argument(side, type=int, help='pixels that the model sees')
  parser.add_argument(
      '--fit',
      choices=['crop', 'stretch'],
      help='where the shapes differ (default: crop)',
  )
  parser.add_argument(
      '--dtype',
      choices=['float32', 'float16'],
      default='float32',
      help='of the features on disk (default: %(default)s)',
  )
  options = parser.parse_args(arguments)
  if options.fit and options.height is None and options.width is None:
    parser.error(
        f'--fit={options.fit} needs --height or --width: without them frames'
        ' keep their size'
    )
  options.fit = options.fit or 'crop'
  return options


if __name__ == '__main__':
  sys.exit(main())
