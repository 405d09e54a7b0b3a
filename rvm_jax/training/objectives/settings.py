"""Rules and checks of the settings that several objectives share."""

from collections.abc import Mapping

import ml_collections

from rvm_jax import rules
from rvm_jax.models import stacks
from rvm_jax.ops import attention
from rvm_jax.ops import masks

# The rules of those settings in the group `model` that all objectives have.
ENCODER = {
    'width': rules.COUNT,
    'encoder_layers': rules.COUNT,
    'encoder_heads': rules.COUNT,
    'encoder_mlp': rules.COUNT,
    'patch': rules.COUNT,
    'dtype': rules.one_of('float32', 'bfloat16'),
    'attention': rules.one_of(*attention.NAMES),
    'remat': rules.one_of('none', *stacks.REMAT_POLICIES),
    'scan_layers': rules.FLAG,
}
# The rules of the further settings of a model with a decoder.
DECODER = {
    'decoder_width': rules.COUNT,
    'decoder_layers': rules.COUNT,
    'decoder_heads': rules.COUNT,
    'decoder_mlp': rules.COUNT,
}


def check_model(
    config: ml_collections.ConfigDict,
    known: Mapping[str, rules.Rule],
    widths: Mapping[str, str],
):
  """Checks the group `model`, and that its patches fit into the frames.

  Args:
    config: the run's config, as in configs/rvm_base.py.
    known: the rule of each setting of the group.
    widths: for each part that has attention heads, such as 'encoder', the name
      of the setting of its width, such as 'width'.

  Raises:
    ValueError: settings are wrong or conflict.
  """
  rules.check(config.model.to_dict(), known, 'config.model.')
  data, model, patch = config.data, config.model, config.model.patch
  for part, width in widths.items():
    if model[width] % model[f'{part}_heads']:
      raise ValueError(
          f'config.model.{part}_heads={model[f"{part}_heads"]} must divide'
          f' config.model.{width}={model[width]}'
      )
  if model.attention == 'cudnn' and model.dtype == 'float32':
    raise ValueError(
        "config.model.attention='cudnn' needs config.model.dtype='bfloat16',"
        " got 'float32'"
    )
  for key, side in (('height', data.height), ('width', data.width)):
    if side < 1 or side % patch:
      below = max(side // patch, 1) * patch
      raise ValueError(
          f'config.data.{key}={side} must be a multiple of config.model.patch='
          f'{patch}; use {below} or {below + patch}'
      )


def check_mask_ratio(config: ml_collections.ConfigDict):
  """Checks that at least one patch of a frame is visible.

  Args:
    config: the run's config, as in configs/rvm_base.py.

  Raises:
    ValueError: none is visible, or the ratio is negative.
  """
  data, patch = config.data, config.model.patch
  num_patches = (data.height // patch) * (data.width // patch)
  num_visible = masks.num_visible(num_patches, config.mask_ratio)
  if num_visible < 1 or config.mask_ratio < 0:
    raise ValueError(
        f'config.mask_ratio={config.mask_ratio} must leave at least one of'
        f' {num_patches} patches visible, and not be negative'
    )


def check_hidden(config: ml_collections.ConfigDict):
  """Checks that at least one patch of a frame is hidden, as the loss needs.

  Args:
    config: the run's config, as in configs/rvm_base.py.

  Raises:
    ValueError: no patch is visible, or none is hidden.
  """
  check_mask_ratio(config)
  data, patch = config.data, config.model.patch
  num_patches = (data.height // patch) * (data.width // patch)
  if not masks.num_hidden(num_patches, config.mask_ratio):
    raise ValueError(
        f'config.mask_ratio={config.mask_ratio} must hide at least one of'
        f' {num_patches} patches'
    )


def check_clip(config: ml_collections.ConfigDict, tubelet: int):
  """Checks that the source frames are whole tubelets, and `num_target` is 1.

  Args:
    config: the run's config, as in configs/rvm_base.py.
    tubelet: number of frames of a tubelet.

  Raises:
    ValueError: `num_source` is not a multiple of `tubelet`, or the data have
      more than one target frame, although the objective uses none.
  """
  data = config.data
  if data.num_source % tubelet:
    more = data.num_source + -data.num_source % tubelet
    raise ValueError(
        f'config.data.num_source={data.num_source} must be a multiple of the'
        f' {tubelet} frames of a tubelet; use {more}'
    )
  check_is(config, 'num_target', 1, 'uses the source frames alone')


def check_is(
    config: ml_collections.ConfigDict, key: str, value: int, reason: str
):
  """Checks that a setting of `data` has the one value that an objective takes.

  Args:
    config: the run's config, as in configs/rvm_base.py.
    key: name of the setting.
    value: the value that it must have.
    reason: why it must have this value: the end of a sentence that begins with
      the objective's name, such as 'has one source frame'.

  Raises:
    ValueError: it has another value.
  """
  if config.data[key] != value:
    raise ValueError(
        f'config.data.{key}={config.data[key]} must be {value}:'
        f' config.objective={config.objective!r} {reason}'
    )
