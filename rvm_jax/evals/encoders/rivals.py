"""Rivals of RVM as frozen encoders: DINOv2, DINOv3, VideoMAE, V-JEPA 1 and 2.

`rvm_jax.baselines.features` says how frames become features. There are two sets
of rules: 'released', those of the released evaluation of RVM, and 'fair', which
avoid what handicaps a rival there.
"""

from typing import Any

import flax.linen as nn
import jax
import numpy as np

from rvm_jax.baselines import encoder as rival_lib
from rvm_jax.baselines import features
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.weights import trees


def load(name: rival_lib.Name) -> encoder_lib.FrozenEncoder:
  """Loads the weights of a rival as an encoder.

  Args:
    name: family, variant and path, as `baselines.encoder.parse` returns them.

  Raises:
    FileNotFoundError: there is nothing at the path.
    ValueError: there are no weights of the family at the path.
  """
  return from_module(*rival_lib.load(name), name.variant)


def load_untrained(name: rival_lib.Name) -> encoder_lib.FrozenEncoder:
  """Makes an untrained encoder with the sizes of a rival.

  Its parameters are initialized with seed 0; those at the path are not used.
  The errors are those of `load`.

  Args:
    name: family, variant and path, as `baselines.encoder.parse` returns them.
  """
  module, _ = rival_lib.load(name)
  length = features.clip_length(module) or 1
  shape = 1, length, module.patch, module.patch, 3
  init = jax.jit(module.init)
  params = init(jax.random.key(0), np.zeros(shape, np.float32))['params']
  return from_module(module, params, name.variant, prefix='untrained ')


def from_module(
    module: nn.Module, params: Any, variant: str, prefix: str = ''
) -> encoder_lib.FrozenEncoder:
  """Makes an encoder from the module of a rival and its parameters.

  The features of image models include `cls`; those of clip models do not.

  Args:
    module: Flax module of the rival, as returned by `baselines.load`.
    params: parameters of `module`.
    variant: 'released' or 'fair', as in `baselines.features`.
    prefix: text before the name of the model in tables.
  """

  def apply(params, frames, state, is_real):
    found = features.encode(module, params, frames, is_real, variant)
    return encoder_lib.FrameFeatures(*found), state

  kind = rival_lib.name_kind(module.family, variant)
  return encoder_lib.from_apply(
      prefix + features.name(module, variant),
      f'{kind}:{trees.fingerprint(params)}',
      module.patch,
      apply,
      params,
      scaling=features.describe(module, variant),
      clip_length=features.clip_length(module),
      knows_padding=True,
      takes_any_size=True,
      variant=variant,
  )
