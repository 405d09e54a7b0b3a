"""Shows what a model sees, on a page with videos.

  python -m rvm_jax.viz VIDEO --checkpoint PATH --out DIR

Writes DIR/index.html, which any browser opens without a server or network, and
beside it for each VIDEO a movie and a still sheet of its panels: components and
clusters of the features, their overlay, and where the state changes. If the
checkpoint has a decoder, also frames that it painted from 5 % of their patches.

VIDEO is a file that FFmpeg reads, or the word noise_square: a square of noise
that moves over noise and is to be seen in no single frame.

Exit code: 0 done; 2 an input is wrong or the disk full; nothing was written.
"""

import argparse
from collections.abc import Sequence
import itertools
import os
import re
import sys
from typing import NamedTuple

import jax
import numpy as np

from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.data import crops
from rvm_jax.data.video import decoder
from rvm_jax.ops import patches
from rvm_jax.viz import gallery
from rvm_jax.viz import page
from rvm_jax.viz import reconstructions
from rvm_jax.viz import stimuli
from rvm_jax.weights import trees

NOISE_SQUARE = 'noise_square'

_NOISE_SQUARE = (
    'A square of random pixels, half as wide as the frame, moves to the right'
    ' over random pixels that stay. No single frame shows it: only motion does.'
)


class Video(NamedTuple):
  """A video to show, and what is known of it."""

  name: str
  frames: np.ndarray  # uint8 [T, H, W, 3]
  about: str
  damage: str  # 'damaged after frame 36: ...', or nothing.


def main(arguments: Sequence[str] | None = None) -> int:
  """Writes the gallery that `arguments` ask for; returns the exit code."""
  options = _parse(arguments)
  open_ = lambda path: read(path, options.num_frames, options.size)
  try:
    # Each is read here and again below: a wrong one is found before the work
    # begins, and no more than one is in memory.
    sizes = {path: open_(path).frames.shape[1:3] for path in options.videos}
    model, params = weights.load(options.checkpoint)
    for path, size in sizes.items():
      _check_grid(path, size, model.patch)
    with gallery.unfinished(options.out) as folder:
      encoder = streaming.Encoder(model, params)
      sections = [
          _add(folder, number, open_(path), encoder)
          for number, path in enumerate(options.videos, 1)
      ]
      facts = _describe_model(options.checkpoint, encoder)
      path = os.path.join(folder, gallery.PAGE)
      with open(path, 'w', encoding='utf-8') as f:
        f.write(page.write(facts, sections, gallery.RATE))
  except (ValueError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(os.path.join(options.out, gallery.PAGE))
  return 0


def read(path: str, num_frames: int, size: tuple[int, int] | None) -> Video:
  """Reads the first frames of a video, or makes the noise square.

  Args:
    path: of the file, or 'noise_square'.
    num_frames: at most so many.
    size: height and width to resize to, in pixels; None to keep them.

  Raises:
    ValueError: not a video, fewer than two frames, or frames of several sizes.
  """
  if path == NOISE_SQUARE:
    frames = stimuli.noise_square(*(size or ()))[:num_frames]
    return Video('Noise square', frames, _NOISE_SQUARE, '')
  frames, damage, rgb = [], '', decoder.RGB()
  try:
    with decoder.open_stream(path) as stream:
      rate = float(stream.average_rate or 0)
      decoded = decoder.from_start(stream)
      for frame in itertools.islice(decoded, num_frames):
        height, width = decoder.shape(frame)
        box = 0, 0, width, height
        new = size or (height, width)
        frames.append(crops.crop(rgb(frame)[None], box, *new, False)[0])
  except decoder.BrokenVideo as error:
    if len(frames) < 2:
      raise
    damage = f'damaged after frame {len(frames) - 1}: {error.reason}'
  shapes = {frame.shape for frame in frames}
  if len(frames) < 2 or len(shapes) > 1:
    raise ValueError(
        f'{path}: expected two or more frames of one size, got {len(frames)} of'
        f' {sorted(shape[:2] for shape in shapes)}'
    )
  about = f'Recorded at {rate:.4g} frames a second.' if rate else ''
  if size:
    about += f' Resized from {_by(width, height)} pixels.'
  if damage:
    about += f' The file is {damage}.'
  return Video(os.path.basename(path), np.stack(frames), about, damage)


def _parse(arguments):
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.viz',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
      'videos', nargs='+', metavar='VIDEO', help='a file, or noise_square'
  )
  parser.add_argument(
      '--checkpoint',
      required=True,
      metavar='PATH',
      help='a .npz or .safetensors file, or the workdir of a run',
  )
  parser.add_argument(
      '--out', required=True, metavar='DIR', help='folder for the gallery'
  )
  parser.add_argument(
      '--num_frames',
      type=int,
      default=stimuli.NUM_FRAMES,
      help='of each video at most so many are read (default: %(default)s)',
  )
  parser.add_argument(
      '--size',
      type=int,
      nargs=2,
      metavar=('HEIGHT', 'WIDTH'),
      help='resize to this many pixels, multiples of the patch',
  )
  options = parser.parse_args(arguments)
  if options.num_frames < 2:
    parser.error(f'--num_frames must be at least 2, got {options.num_frames}')
  if options.size and min(options.size) < 1:
    parser.error(f'--size must be positive, got {options.size}')
  return options


def _check_grid(path, size, patch):
  try:
    patches.grid(*size, patch)
  except ValueError as error:
    raise ValueError(f'{path}: {error} with --size') from error


def _add(folder, number, video, encoder):
  """Runs the model over a video and draws what comes out."""
  damage = f'; {video.damage}' * bool(video.damage)
  print(f'{video.name}: {len(video.frames)} frames{damage}', flush=True)
  features = encoder(video.frames).patches
  num_frames, rows, columns, _ = features.shape
  height, width = video.frames.shape[1:3]
  stem = re.sub(r'[^A-Za-z0-9_-]+', '-', os.path.splitext(video.name)[0])
  return gallery.add(
      folder,
      name=video.name,
      about=(
          f'{video.about} Frames 0 to {num_frames - 1} are shown, at'
          f' {gallery.RATE} a second: {_by(width, height)} pixels, of which the'
          f' model makes {_by(columns, rows)} patches.'
      ),
      stem=f'{number}-{stem[:60]}',
      frames=video.frames,
      features=features,
      patch=encoder.model.patch,
      reconstruction=reconstructions.paint(
          encoder.model, encoder.params, video.frames
      ),
  )


def _describe_model(path, encoder):
  model, params = encoder.model, encoder.params
  decoder = 'with decoder' if model.decoder_layers else 'without decoder'
  count = sum(array.size for array in jax.tree.leaves(params))
  return {
      'Checkpoint': str(path),
      'Fingerprint': trees.fingerprint(params),
      'Parameters': f'{count / 1e6:,.1f} million, {decoder}',
      'Width': f'{model.width}',
      'Patch': f'{_by(model.patch, model.patch)} pixels',
  }


def _by(width, height):
  """The two on one line: the spaces do not break."""
  return f'{width}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{height}'


if __name__ == '__main__':
  sys.exit(main())
