"""Makes encoders from the values of the flag `--checkpoint`.

To add a kind of encoder, add a module to this package and an entry to `_KINDS`.
A rival is a model of another project that RVM is compared with.
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
    checkpoint: value of the flag, in one of these forms:

      * 'PATH': a checkpoint that `rvm_jax.load` reads, or the workdir of a run
        of any objective.
      * 'FAMILY:PATH' or 'FAMILY-fair:PATH': the weights of a rival, which is
        'dinov2', 'dinov3', 'videomae', 'vjepa' or 'vjepa2'. Its features are
        computed by the rules of the released evaluation or by fair rules;
        `baselines.features` describes both.
      * 'untrained:CHECKPOINT': the architecture of the model that CHECKPOINT
        names in one of the forms above, with newly initialized parameters.
      * 'raw:P': the pixels of patches of P x P pixels as features.
      * 'truth:P': the oracle, whose features are computed from the ground truth
        of patches of P x P pixels. Only the benchmark on generated scenes can
        use it.

  Raises:
    FileNotFoundError: nothing exists at the path, or only a run that has no
      checkpoint yet; or the text before the colon is unknown.
    ValueError: what is at the path is no checkpoint of a known model, is
      damaged, or has no weights of the rival; or the side of a patch is not a
      positive integer.
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
        f'--checkpoint={kind}:P needs the side of a patch in pixels, a positive'
        f' integer, as in --checkpoint={kind}:16, got {kind}:{patch}'
    )
  return int(patch)


# For the text before the colon, a function that makes an encoder from the text
# after it.
_KINDS = {
    'raw': _load_pixels,
    'truth': _load_oracle,
    'untrained': _load_untrained,
}
