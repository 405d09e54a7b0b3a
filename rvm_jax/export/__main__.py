"""Exports a model for use by other programs.

  python -m rvm_jax.export RUN --to FORMAT

RUN is anything that `rvm_jax.load` reads: a released .npz, a .safetensors that
this command wrote, the workdir of a run, one of its checkpoints, or rvm_tiny,
the checkpoint in the package. FORMAT is one of

  npz          the layout of the released checkpoints
  safetensors  the same arrays, their names with '.' in place of '/'
  stablehlo    a folder: a program of one step, state in and state out, and the
               parameters of encoder and core
  torch        a folder: a PyTorch state_dict of encoder and core, and the
               Python file that runs it

The export is read back and run before it appears at --out: its features may
differ from those of RUN by at most 1e-4. Nothing that exists at --out is ever
replaced. A killed export leaves a folder `.NAME.*.part` beside --out; the next
export to --out warns of it.

Exit code: 0 if the export was written; 2 if an input is wrong, a package is
missing or the output cannot be written; 1, with a traceback, if PyTorch fails
or the export does not reproduce the features. If the code is not 0, nothing was
written.
"""

import argparse
from collections.abc import Callable, Sequence
import functools
import os
import sys

import jax

from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.export import check
from rvm_jax.export import pytorch
from rvm_jax.export import stablehlo
from rvm_jax.storage import files
from rvm_jax.weights import released
from rvm_jax.weights import trees

# The default of --out for each format; its suffix is required of any --out.
OUT = {
    'npz': 'rvm.npz',
    'safetensors': 'rvm.safetensors',
    'stablehlo': 'rvm_stablehlo',
    'torch': 'rvm_pytorch',
}


def main(arguments: Sequence[str] | None = None) -> int:
  """Writes the export that `arguments` ask for; returns the exit code.

  Args:
    arguments: the command line without the program's name; None reads
      `sys.argv`.
  """
  options = _parse(arguments)
  # The CPU computes float32 exactly, and no accelerator's memory is taken.
  jax.config.update('jax_platforms', 'cpu')
  try:
    encoder = streaming.load(options.run)
    error = _write(options, encoder)
  except (ModuleNotFoundError, OSError, ValueError) as problem:
    print(f'error: {problem}', file=sys.stderr)
    return 2
  has_decoder = encoder.model.decoder_layers and options.to in (
      'npz',
      'safetensors',
  )
  parts = 'encoder, core, decoder' if has_decoder else 'encoder and core only'
  print(f'{options.out}: {parts}; read back, features differ by {error:.1e}')
  return 0


def _write(options: argparse.Namespace, encoder: streaming.Encoder) -> float:
  """Writes `options.out`; returns the largest difference of its features."""
  out = options.out
  content_first = encoder.model.content_first
  if options.to == 'npz':
    if content_first:
      raise ValueError(
          f'{options.run} was trained with config.model.content_first=True,'
          ' which the layout of released .npz files cannot store; use --to'
          ' safetensors'
      )
    return _write_weights(out, weights.save_npz, encoder)
  if options.to == 'safetensors':
    save = functools.partial(
        weights.save_safetensors, content_first=content_first
    )
    return _write_weights(out, save, encoder)
  encoder = _without_decoder(encoder)
  if options.to == 'torch':
    return pytorch.write(out, encoder)
  return stablehlo.write(
      out,
      encoder,
      batch=options.batch,
      height=options.height,
      width=options.width,
      dtype='uint8' if options.uint8 else 'float32',
  )


def _without_decoder(encoder: streaming.Encoder) -> streaming.Encoder:
  """Returns the same model with only the parameters that features need."""
  kept = {
      key: array
      for key, array in encoder.params.items()
      if not released.is_decoder(key)
  }
  return streaming.Encoder(encoder.model.clone(decoder_layers=0), kept)


def _write_weights(
    out: str, save: Callable[..., None], encoder: streaming.Encoder
) -> float:
  """Writes a file of weights; returns the largest difference of its features.

  Args:
    out: path of the file to write.
    save: function of a path and a parameter tree that writes the file.
    encoder: the model to write.
  """
  with files.write_whole(out) as part:
    save(part, encoder.params)
    again = streaming.load(part)
    if trees.fingerprint(again.params) != trees.fingerprint(encoder.params):
      raise RuntimeError(
          f'the parameters read back from {out} differ from those written to'
          ' it; nothing was written'
      )
    video = next(check.make_videos(encoder.model.patch))
    return check.compare(
        check.encode(again, video), check.encode(encoder, video)
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.export',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('run', metavar='RUN', help='checkpoint to export')
  parser.add_argument('--to', required=True, choices=list(OUT), help='format')
  parser.add_argument(
      '--out',
      help='path of the file or, for stablehlo and torch, of the folder to'
      f' write (default: {", ".join(OUT.values())})',
  )
  group = parser.add_argument_group('the program of --to stablehlo')
  for name, what in (
      ('batch', 'number of videos'),
      ('height', 'height of frames in pixels'),
      ('width', 'width of frames in pixels'),
  ):
    group.add_argument(
        f'--{name}',
        type=_count,
        help=f'the only {what} that the program accepts (default: any)',
    )
  group.add_argument(
      '--uint8',
      action='store_true',
      help='the program takes uint8 frames (default: floats in [0, 1])',
  )
  options = parser.parse_args(arguments)
  given = options.batch, options.height, options.width, options.uint8
  if options.to != 'stablehlo' and any(given):
    parser.error(
        '--batch, --height, --width, --uint8 are for --to stablehlo, got --to'
        f' {options.to}'
    )
  options.out = options.out or OUT[options.to]
  suffix = os.path.splitext(OUT[options.to])[1]
  if not options.out.endswith(suffix):
    parser.error(f'--out {options.out} must end with {suffix}')
  return options


def _count(text: str) -> int:
  """Parses a positive integer for argparse."""
  number = int(text)
  if number < 1:
    raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
  return number


if __name__ == '__main__':
  sys.exit(main())
