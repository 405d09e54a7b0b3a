"""Encoders by the name that a command line gives them.

A new kind of encoder is a file of this package and a line in `_KINDS`.
"""

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.encoders import rvm
from rvm_jax.evals.scenes import oracle


def load(checkpoint: str) -> encoder_lib.FrozenEncoder:
  """Makes the encoder that `--checkpoint` names.

  Args:
    checkpoint: a path that `rvm_jax.load` reads; 'untrained:PATH' for fresh
      parameters of that checkpoint's sizes; 'raw:16' for plain pixels in
      patches of 16 x 16; 'truth:16' for the oracle, whose features are made of
      the ground truth of such patches, where a benchmark has it.

  Raises:
    FileNotFoundError: there is nothing at the path, or a run without a
      checkpoint.
    ValueError: the path holds no checkpoint of RVM, or the side of a patch is
      not a positive number.
  """
  kind, _, rest = checkpoint.partition(':')
  if kind in _KINDS:
    return _KINDS[kind](rest)
  return rvm.load(checkpoint)


def _load_pixels(patch: str) -> encoder_lib.FrozenEncoder:
  return pixels.make(_parse_side('raw', patch))


def _load_oracle(patch: str) -> encoder_lib.FrozenEncoder:
  return oracle.make(_parse_side('truth', patch))


def _parse_side(kind: str, patch: str) -> int:
  if not patch.isdecimal() or not int(patch):
    raise ValueError(
        f'{kind} patches need their side in pixels, as in'
        f' --checkpoint={kind}:16, got {kind}:{patch}'
    )
  return int(patch)


_KINDS = {
    'raw': _load_pixels,
    'truth': _load_oracle,
    'untrained': rvm.load_untrained,
}
