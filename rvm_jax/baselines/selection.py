"""Selects the arrays of one model out of a checkpoint of a training."""

from absl import logging

from rvm_jax.baselines import reading
from rvm_jax.storage import damage

# Names of dicts of arrays in checkpoints, the preferred first. Of two encoders,
# V-JEPA's evaluations take the moving average, the target encoder.
_DICTS = ('target_encoder', 'encoder', 'model', 'module')
# What PyTorch modules that wrap a model put before its keys.
_WRAPPERS = ('module.', 'backbone.')


def select_model(arrays: reading.Arrays) -> reading.Arrays:
  """Returns the arrays of the model out of a checkpoint of a training.

  Such a checkpoint has several dicts of arrays: encoders, optimizer. Keys may
  begin with `module.`, of PyTorch's DataParallel, and `backbone.`, of V-JEPA.

  Args:
    arrays: arrays of the checkpoint.

  Returns:
    The arrays of one dict by their keys without such beginnings; those outside
    of any dict if there is none of a known name. What is left out is logged.
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
