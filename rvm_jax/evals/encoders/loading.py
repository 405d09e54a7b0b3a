"""Makes encoders from the values of the flag `--checkpoint`.

To add a kind of encoder, add a module to this package and an entry to `_KINDS`.
"""

from rvm_jax.baselines import encoder as rival_lib
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.encoders import rivals
from rvm_jax.evals.encoders import runs
from rvm_jax.evals.scenes import oracle


def load(checkpoint: str) -> encoder_lib.FrozenEncoder:
  """Makes the encoder that `--checkpoint` names.

  Args:
    checkpoint: PATH is a checkpoint that `rvm_jax.load` reads, or the workdir
      of a run of any objective. 'untrained:PATH' is a model of the same
      architecture with newly initialized parameters.
      'dinov2:PATH' has the weights of a rival, which is 'dinov2', 'dinov3',
      'videomae', 'vjepa' or 'vjepa2', or one of these with '-fair' after it;
      `baselines.features` describes both. PATH of 'untrained:PATH' may name one
      too. 'raw:16' has the pixels of patches of 16 x 16 as features. 'truth:16'
      is the oracle, whose features are computed from the ground truth of such
      patches; only the benchmark on generated scenes can use it.

  Raises:
    FileNotFoundError: there is nothing at the path, or only a run that has no
      checkpoint yet.
    ValueError: there is no checkpoint that fits, or no weights of the rival, at
      the path; or the side of a patch is not a positive integer.
  """
  if rival := rival_lib.parse(checkpoint):
    return rivals.load(rival)
  kind, _, rest = checkpoint.partition(':')
  if kind in _KINDS:
    return _KINDS[kind](rest)
  rival_lib.check_name(checkpoint, _KINDS)
  return runs.load(checkpoint)


def _load_pixels(patch: str) -> encoder_lib.FrozenEncoder:
  """Makes the encoder of 'raw:PATCH'."""
  return pixels.make(_parse_side('raw', patch))


def _load_oracle(patch: str) -> encoder_lib.FrozenEncoder:
  """Makes the encoder of 'truth:PATCH'."""
  return oracle.make(_parse_side('truth', patch))


def _load_untrained(checkpoint: str) -> encoder_lib.FrozenEncoder:
  """Makes the encoder of 'untrained:CHECKPOINT'."""
  if rival := rival_lib.parse(checkpoint):
    return rivals.load_untrained(rival)
  rival_lib.check_name(checkpoint)
  return runs.load_untrained(checkpoint)


def _parse_side(kind: str, patch: str) -> int:
  """Returns the side of a patch, given as text, in pixels."""
  if not patch.isdecimal() or not int(patch):
    raise ValueError(
        f'{kind} patches need their side in pixels, as in'
        f' --checkpoint={kind}:16, got {kind}:{patch}'
    )
  return int(patch)


# Functions that make an encoder from the text after the colon, by the text
# before it.
_KINDS = {
    'raw': _load_pixels,
    'truth': _load_oracle,
    'untrained': _load_untrained,
}
