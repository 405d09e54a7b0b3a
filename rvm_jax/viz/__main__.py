"""Shows what a model computes for videos, on a page for a web browser.

  python -m rvm_jax.viz VIDEO --checkpoint PATH --out DIR

Writes DIR/index.html, which needs neither a server nor a network, and the
movies and pictures that it shows. For each VIDEO these are: principal
components and clusters of the features, the clusters over the video, and where
the state and the pixels change. If the checkpoint has a decoder, there are also
frames that the model reconstructed from 5 % of their patches.

PATH is a checkpoint of RVM, or the weights of a rival with its name and a colon
before the path: dinov2:PATH, dinov3:PATH, videomae:PATH, vjepa:PATH,
vjepa2:PATH. docs/baselines.md describes them, and the variant dinov2-fair:PATH.

VIDEO is a video file, a folder of numbered pictures, or noise_square: a square
of noise that moves over noise, which no single frame shows.

If DIR has a page already, the command refuses to write. With --replace it
replaces the page and the files of the same names.

Exit codes: 0 when everything is written; 2 when an input is wrong or the disk
is full, in which case nothing is written.
"""

import argparse
from collections.abc import Iterator, Sequence
import itertools
import os
import re
import sys
from typing import NamedTuple

import jax
import numpy as np

from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.baselines import encoder as rival_lib
from rvm_jax.baselines import features as features_lib
from rvm_jax.data import crops
from rvm_jax.data.video import decoder
from rvm_jax.data.video import sequences
from rvm_jax.ops import patches
from rvm_jax.viz import gallery
from rvm_jax.viz import page
from rvm_jax.viz import reconstructions
from rvm_jax.viz import stimuli
from rvm_jax.weights import trees

NOISE_SQUARE = 'noise_square'

_ABOUT_NOISE_SQUARE = (
    'A square of random pixels, half as wide as the frame, moves to the right'
    ' over a still background of random pixels. No single frame shows the'
    ' square: only its motion does.'
)


class ShownVideo(NamedTuple):
  """A video for the gallery.

  Attributes:
    name: title of the video.
    frames: uint8 [T, H, W, 3].
    about: sentences about the video, for the page.
    damage: text such as 'damaged after frame 36: ...'; empty if intact.
  """

  name: str
  frames: np.ndarray
  about: str
  damage: str


def main(arguments: Sequence[str] | None = None) -> int:
  """Writes a gallery.

  Args:
    arguments: command-line arguments; None takes those of the process.

  Returns:
    The exit code.
  """
  options = _parse(arguments)
  limits = options.num_frames, options.size
  try:
    # Every video is read here, and again below. A wrong video is thus found
    # before the work begins, and only one is in memory at a time.
    sizes = {
        path: read(path, *limits).frames.shape[1:3] for path in options.videos
    }
    name = rival_lib.parse(options.checkpoint)
    rival_lib.check_name(options.checkpoint)
    model, params = (
        rival_lib.load(name) if name else weights.load(options.checkpoint)
    )
    for path, size in sizes.items():
      _check_grid(path, size, model.patch)
    with gallery.unfinished(options.out, options.replace) as folder:
      encoder: streaming.Encoder | rival_lib.Encoder
      if name:
        encoder = rival_lib.Encoder(model, params, name.variant)
      else:
        encoder = streaming.Encoder(model, params)
      sections = [
          _add(folder, number, read(path, *limits), encoder)
          for number, path in enumerate(options.videos, 1)
      ]
      facts = _describe_model(options.checkpoint, encoder)
      path = os.path.join(folder, gallery.PAGE)
      with open(path, 'w', encoding='utf-8') as f:
        about = _describe_rival(encoder) if name else page.ABOUT_RVM
        f.write(page.write(facts, sections, gallery.RATE, about))
  except (ImportError, OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(os.path.join(options.out, gallery.PAGE))
  return 0


def read(
    path: str, num_frames: int, size: tuple[int, int] | None
) -> ShownVideo:
  """Reads the first frames of a video, or generates the noise square.

  If a later part of the file is damaged, the video ends before the damage.

  Args:
    path: path of a file or of a folder of pictures, or 'noise_square'.
    num_frames: greatest number of frames to read.
    size: height and width in pixels to which frames are resized; None keeps
      those of the file (of the noise square: 512 x 512).

  Returns:
    The video, with at least two frames.

  Raises:
    ValueError: the file is missing or not a video, has fewer than two good
      frames, or frames of several sizes.
  """
  if path == NOISE_SQUARE:
    frames = stimuli.noise_square(*(size or ()))[:num_frames]
    return ShownVideo('Noise square', frames, _ABOUT_NOISE_SQUARE, '')
  frames, about, damage = [], '', ''
  try:
    for pixels, rate in itertools.islice(_play(path), num_frames):
      about = f'Recorded at {rate:.4g} frames a second.' if rate else ''
      whole = 0, 0, pixels.shape[1], pixels.shape[0]
      new = size or pixels.shape[:2]
      frames.append(crops.crop(pixels[None], whole, *new, False)[0])
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
  if size:
    about += f' Resized from {_format_size(*pixels.shape[:2])} pixels.'
  if damage:
    about += f' The file is {damage}.'
  name = os.path.basename(os.path.abspath(path))
  return ShownVideo(name, np.stack(frames), about, damage)


def _play(path: str) -> Iterator[tuple[np.ndarray, float]]:
  """Yields each frame [H, W, 3] with the video's frame rate, 0 if unknown."""
  if os.path.isdir(path):
    for name in sequences.list_names(path):
      yield sequences.decode(path, name), 0.0
    return
  rgb = decoder.RGB()
  with decoder.open_stream(path) as stream:
    for frame in decoder.from_start(stream):
      yield rgb(frame), float(stream.average_rate or 0)


def _parse(arguments):
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.viz',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('videos', nargs='+', metavar='VIDEO', help='a video')
  parser.add_argument(
      '--checkpoint',
      required=True,
      metavar='PATH',
      help='anything that `rvm_jax.load` reads, or the weights of a rival with'
      ' its name before them, such as dinov2:PATH',
  )
  parser.add_argument(
      '--out', required=True, metavar='DIR', help='folder for the gallery'
  )
  parser.add_argument(
      '--replace',
      action='store_true',
      help='replace the page in DIR; without this flag, such a DIR is refused',
  )
  parser.add_argument(
      '--num_frames',
      type=int,
      default=stimuli.NUM_FRAMES,
      help='greatest number of frames of a video (default: %(default)s)',
  )
  parser.add_argument(
      '--size',
      type=int,
      nargs=2,
      metavar=('HEIGHT', 'WIDTH'),
      help='resize frames to this many pixels, multiples of the patch',
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
  """Runs the model over a video and writes its movies and pictures."""
  damage = f'; {video.damage}' if video.damage else ''
  print(f'{video.name}: {len(video.frames)} frames{damage}', flush=True)
  print('  encoding', flush=True)
  features = encoder(video.frames).patches
  if isinstance(encoder, rival_lib.Encoder):
    center_frames = False
    reconstruction = f'Not available: {encoder} reconstructs no frames here.'
  else:
    print('  reconstructing', flush=True)
    center_frames = encoder.model.content_first
    reconstruction = reconstructions.reconstruct(
        encoder.model, encoder.params, video.frames
    )
  num_frames, rows, columns, _ = features.shape
  height, width = video.frames.shape[1:3]
  print('  drawing', flush=True)
  stem = re.sub(r'[^A-Za-z0-9_-]+', '-', os.path.splitext(video.name)[0])
  return gallery.add(
      folder,
      name=video.name,
      about=(
          f'{video.about} Frames 0 to {num_frames - 1} are shown, at'
          f' {gallery.RATE} a second: {_format_size(height, width)} pixels,'
          f' which the model cuts into {_format_size(rows, columns)} patches.'
      ),
      stem=f'{number}-{stem[:60]}',
      frames=video.frames,
      features=features,
      patch=encoder.model.patch,
      center_frames=center_frames,
      reconstruction=reconstruction,
  )


def _describe_rival(encoder):
  """Returns the page's text about a rival, in place of `page.ABOUT_RVM`."""
  if length := features_lib.clip_length(encoder.model):
    what = f'clips of {length} frames, one after the other'
  else:
    what = 'each frame of each video on its own'
  return (
      f'{encoder} encoded {what}. Where this page says state, it means the'
      ' features of a frame: one vector for each patch. Colours and groups in'
      ' the pictures come from these features alone; no labels were used.'
  )


def _describe_model(path, encoder):
  model, params = encoder.model, encoder.params
  count = sum(array.size for array in jax.tree.leaves(params))
  parameters = f'{count / 1e6:,.1f} million'
  if isinstance(encoder, streaming.Encoder):
    parameters += f', with{"" if model.decoder_layers else "out"} decoder'
  return {
      'Checkpoint': str(path),
      'Fingerprint': trees.fingerprint(params),
      'Parameters': parameters,
      'Width': f'{model.width}',
      'Patch': f'{_format_size(model.patch, model.patch)} pixels',
  }


def _format_size(height, width):
  """Formats a size as 'width × height', without line breaks."""
  return f'{width}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{height}'


if __name__ == '__main__':
  sys.exit(main())
