"""Exports a model: python -m rvm_jax.export RUN --to FORMAT

RUN is what `rvm_jax.load` loads: a released .npz, a .safetensors of ours, the
workdir of a run or one of its checkpoints. FORMAT is one of

  npz          the layout of the released checkpoints
  safetensors  the same arrays; names with '.' for '/'
  stablehlo    a program of one step, state in and state out, and its
               parameters: encoder and core
  torch        a PyTorch state_dict and the file that runs it: encoder and core

Before it says done, the export is read back and run: its features must be those
of RUN. What is already at --out is never replaced. An export that was killed
leaves a folder `.NAME.*.part` beside it, which the next one names.

Exit code: 0 done; 2 an input is wrong or the output cannot be written, and
nothing was.
"""

import argparse
from collections.abc import Mapping, Sequence
import os
import sys
from typing import Any

import jax

from rvm_jax import weights
from rvm_jax.export import check
from rvm_jax.export import pytorch
from rvm_jax.export import stablehlo
from rvm_jax.models import rvm
from rvm_jax.storage import files
from rvm_jax.weights import released
from rvm_jax.weights import trees

OUT = {
    'npz': 'rvm.npz',
    'safetensors': 'rvm.safetensors',
    'stablehlo': 'rvm_stablehlo',
    'torch': 'rvm_pytorch',
}


def main(arguments: Sequence[str] | None = None) -> int:
  """Writes what `arguments` ask for; returns the exit code."""
  options = _parse(arguments)
  # Exact float32 everywhere, and no accelerator's memory taken.
  jax.config.update('jax_platforms', 'cpu')
  try:
    model, params = weights.load(options.run)
    error = _write(options, model, params)
  except (ModuleNotFoundError, OSError, ValueError) as problem:
    print(f'error: {problem}', file=sys.stderr)
    return 2
  has_decoder = model.decoder_layers and options.to in ('npz', 'safetensors')
  parts = 'encoder, core, decoder' if has_decoder else 'encoder and core only'
  print(f'{options.out}: {parts}; read back, features differ by {error:.1e}')
  return 0


def _write(
    options: argparse.Namespace, model: rvm.RVM, params: Mapping[str, Any]
) -> float:
  """Writes `options.out`; returns the largest difference of a feature."""
  out = options.out
  if options.to == 'npz':
    return _write_weights(out, weights.save_npz, model, params)
  if options.to == 'safetensors':
    return _write_weights(out, weights.save_safetensors, model, params)
  encoder = model.clone(decoder_layers=0)
  params = {k: v for k, v in params.items() if k not in released.DECODER_PARTS}
  if options.to == 'torch':
    return pytorch.write(out, encoder, params)
  return stablehlo.write(
      out,
      encoder,
      params,
      batch=options.batch,
      height=options.height,
      width=options.width,
      dtype='uint8' if options.uint8 else 'float32',
  )


def _write_weights(out, save, model, params) -> float:
  with files.write_whole(out) as part:
    save(part, params)
    again, read = weights.load(part)
    if trees.fingerprint(read) != trees.fingerprint(params):
      raise RuntimeError(f'{out} does not give back the bits written to it')
    video = next(check.make_videos(model.patch))
    return check.compare(
        check.encode(again, read, video), check.encode(model, params, video)
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.export',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('run', metavar='RUN')
  parser.add_argument('--to', required=True, choices=list(OUT))
  parser.add_argument(
      '--out',
      help='the file or, for stablehlo and torch, the folder to write; left'
      f' out: {", ".join(OUT.values())}',
  )
  group = parser.add_argument_group('the program of --to stablehlo')
  for name in ('batch', 'height', 'width'):
    group.add_argument(
        f'--{name}', type=_count, help='for this one only; left out: for any'
    )
  group.add_argument(
      '--uint8',
      action='store_true',
      help='frames are uint8; left out: floats in [0, 1]',
  )
  options = parser.parse_args(arguments)
  given = options.batch, options.height, options.width, options.uint8
  if options.to != 'stablehlo' and any(given):
    parser.error('--batch, --height, --width, --uint8 are for --to stablehlo')
  options.out = options.out or OUT[options.to]
  suffix = os.path.splitext(OUT[options.to])[1]
  if not options.out.endswith(suffix):
    parser.error(f'--out {options.out} must end with {suffix}')
  return options


def _count(text: str) -> int:
  number = int(text)
  if number < 1:
    raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
  return number


if __name__ == '__main__':
  sys.exit(main())
