"""The logical axes of the parameters of `RVM`, and which are the core's.

Code that trains any model asks the model's objective, which asks this module.
"""

from rvm_jax.models import layers
from rvm_jax.models import recurrent
from rvm_jax.models import vit

# Logical axes of the parameters, by the end of their path in the tree: see
# `training.mesh`.
_PARAMETER_AXES = {
    **layers.PARAMETER_AXES,
    **recurrent.PARAMETER_AXES,
    **vit.PARAMETER_AXES,
    'cls_token': (None, 'embed'),
    'mask_token': (None, 'decoder_embed'),
    'decoder_embedder/kernel': ('embed', 'decoder_embed'),
    'decoder_embedder/bias': ('decoder_embed',),
    'delta_embedder/kernel': (None, 'decoder_embed'),
    'delta_embedder/bias': ('decoder_embed',),
    'detokenizer/Dense_0/kernel': ('decoder_embed', 'pixels'),
    'detokenizer/Dense_0/bias': ('pixels',),
}
# The logical axis that replaces 'embed' in the parameters of some parts of the
# model. `training.mesh` has no rule for 'core_embed', so that the core's
# parameters stay whole on every device. If they were split, they would be
# gathered again for every frame of the recurrence.
_EMBED = {'rnn_core': 'core_embed', 'decoder': 'decoder_embed'}


def name_axes(path: str) -> tuple[str | None, ...]:
  """Returns the names of the logical axes of a parameter of `RVM`.

  Args:
    path: the parameter's path in the tree, joined with '/'.

  Raises:
    ValueError: no parameter of `RVM` has such a path.
  """
  for end, names in _PARAMETER_AXES.items():
    if path.endswith(end):
      embed = _EMBED.get(path.split('/')[0], 'embed')
      return tuple(embed if name == 'embed' else name for name in names)
  raise ValueError(f'RVM has no parameter with the path {path}')


def is_core(path: str) -> bool:
  """Returns whether a parameter belongs to the recurrent core of `RVM`.

  Args:
    path: the parameter's path in the tree, joined with '/'.
  """
  return path.startswith('rnn_core/')
