"""Selects the arrays of one model from a training checkpoint."""

from absl import logging

from rvm_jax.baselines import reading
from rvm_jax.storage import damage

# Names of dicts of arrays in checkpoints, in order of preference. V-JEPA saves
# two encoders; its evaluations take the target encoder, which is a moving
# average.
_DICTS = ('target_encoder', 'encoder', 'model', 'module')
# Prefixes of keys, from PyTorch modules that wrap a model.
_WRAPPERS = ('module.', 'backbone.')


def select_model(arrays: reading.Arrays) -> reading.Arrays:
  """Returns the arrays of the model from a training checkpoint.

  Such a checkpoint has several dicts of arrays, for example of encoders and of
  the optimizer. Keys may have the prefix `module.`, which PyTorch's
  DataParallel adds, and `backbone.`, which V-JEPA adds.

  Args:
    arrays: arrays of the checkpoint.

  Returns:
    The arrays of one dict, by their keys without these prefixes. If no dict has
    a known name, these are the arrays outside of all dicts. The log names the
    arrays that are left out.
  """
  roots = {key.rpartition('/')[0] for key in arrays.specs}
  root = next((name for name in _DICTS if name in roots), '')
  keys, others = {}, []
  for key in arrays.specs:
    dict_name, _, name = key.rpartition('/')
    if dict_name != root:
      others.append(key)
      continue
    while name.startswith(_WRAPPERS):
      name = name.partition('.')[2]
    keys[name] = key
  if root:
    logging.info('%s: the arrays of %r are taken', arrays.name, root)
  if others:
    logging.info(
        '%s: dropped %d arrays beside them: %s',
        arrays.name,
        len(others),
        damage.name_keys(others),
    )
  return reading.Arrays(
      arrays.name,
      {name: arrays.specs[key] for name, key in keys.items()},
      lambda name: arrays.read(keys[name]),
  )
