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
from collections.abc import Sequence
import os
import sys

from rvm_jax import streaming
from rvm_jax.data.video import decoder
from rvm_jax.features import extract
from rvm_jax.features import views
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
      store = extract.extract(
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
