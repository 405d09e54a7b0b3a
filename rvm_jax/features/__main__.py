"""Writes the features of whole videos, of any length, to disk.

  python -m rvm_jax.features VIDEO... --checkpoint PATH --out DIR

VIDEO is a file that FFmpeg can read, or a folder of numbered pictures, such as
bear for bear/00000.jpg. PATH is a checkpoint that `rvm_jax.load` reads, or the
weights of a rival of RVM with its name before them: dinov2:PATH, dinov3:PATH,
videomae:PATH, vjepa:PATH or vjepa2:PATH; or dinov2-fair:PATH and so on.
docs/baselines.md describes them.

Each video gives a zarr group (format 2) DIR/NAME.zarr with the arrays
  patches     [T, h, w, D], a vector of D numbers for each patch of a grid of h
              rows and w columns, in each of T frames
  cls         [T, D], one vector for each whole frame; rivals that encode whole
              clips (videomae, vjepa, vjepa2) have none
  timestamps  [T] float64, the timestamp of each frame in the file, in seconds;
              NaN for a frame without one
The dtype of patches and cls is that of --dtype. The attributes of the group
name the checkpoint, the model, the source file, the preprocessing and the grid;
`num_frames` and `complete` state the progress, and `notes` lists what is
missing of a damaged video.

Without --height and --width frames are not resized: rows and columns of pixels
at the borders are cut off, fewer than a patch has, so that whole patches
remain. With --height or --width frames are resized (bicubic, antialiased). If
only one is given, the other follows from the shape of the frames, rounded to
the nearest multiple of the patch. If the aspect ratio changes, --fit=crop cuts
the frames off on two opposite sides, and --fit=stretch distorts them.

Memory does not grow with the length of a video. If the command was stopped, in
whatever way, the same command continues; on the same machine the result is bit
for bit that of an uninterrupted run. Complete stores are not written again. If
a video is damaged, its good frames are kept with their own timestamps, and a
note names each place where frames are missing. RVM carries its state across
such a place.

Exit code: 0 if the features of all videos are complete, 1 if not, 2 if an
argument is wrong or a package is missing.
"""

import argparse
from collections.abc import Sequence
import os
import sys

from rvm_jax import streaming
from rvm_jax.baselines import encoder as rival_lib
from rvm_jax.data.video import decoder
from rvm_jax.features import extract
from rvm_jax.features import views
from rvm_jax.weights import shipped
from rvm_jax.weights import trees

# The command prints at most this many notes of a video.
_NUM_NOTES_SHOWN = 5


def main(arguments: Sequence[str] | None = None) -> int:
  """Extracts the features that `arguments` ask for; returns the exit code.

  Args:
    arguments: the command line without the program's name; None reads
      `sys.argv`.
  """
  options = _parse(arguments)
  try:
    outputs = _name_outputs(options.videos, options.out)
    encoder, path = _load(options.checkpoint)
    views.check(options.height, options.width, encoder.model.patch)
    os.makedirs(options.out, exist_ok=True)
  except (ImportError, OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  checkpoint = {
      'checkpoint_path': os.path.abspath(path),
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
      # The text of a BrokenVideo begins with the path, which is printed anyway.
      reason = error.reason if isinstance(error, decoder.BrokenVideo) else error
      print(f'{path} failed: {reason}', file=sys.stderr)
      num_failed += 1
      continue
    except OSError as error:
      # The next videos would most likely fail in the same way.
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


def _load(checkpoint: str) -> tuple[extract.AnyEncoder, str]:
  """Returns the encoder that `checkpoint` names, and the path of its weights.

  Args:
    checkpoint: value of `--checkpoint`.
  """
  if name := rival_lib.parse(checkpoint):
    model, params = rival_lib.load(name)
    return rival_lib.Encoder(model, params, name.variant), name.path
  rival_lib.check_name(checkpoint)
  path = shipped.locate(checkpoint)
  return streaming.load(path), path


def _name_outputs(videos: Sequence[str], folder: str) -> dict[str, str]:
  """Returns the absolute path of each video by the path of its store.

  A video that is given twice appears once.

  Raises:
    ValueError: two videos would have the same store.
  """
  outputs: dict[str, str] = {}
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
  parser.add_argument(
      'videos',
      nargs='+',
      metavar='VIDEO',
      help='a video file or a folder of numbered pictures',
  )
  parser.add_argument(
      '--checkpoint',
      required=True,
      help='path of a checkpoint that `rvm_jax.load` reads, or the name of a'
      ' rival and the path of its weights, such as dinov2:PATH',
  )
  parser.add_argument('--out', required=True, help='folder of the stores')
  for side in ('height', 'width'):
    parser.add_argument(
        f'--{side}',
        type=int,
        help=f'{side} in pixels that frames are resized to, a multiple of the'
        ' patch',
    )
  parser.add_argument(
      '--fit',
      choices=['crop', 'stretch'],
      help='what to do if the aspect ratio changes (default: crop)',
  )
  parser.add_argument(
      '--dtype',
      choices=['float32', 'float16'],
      default='float32',
      help='dtype of the features on disk (default: %(default)s)',
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
