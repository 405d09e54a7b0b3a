"""The objective 'rvm': RVM predicts masked frames of the near future."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from rvm_jax.models import rvm
from rvm_jax.ops import images
from rvm_jax.ops import losses
from rvm_jax.ops import masks
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import step


@dataclasses.dataclass(frozen=True, eq=False)
class Pretraining:
  """RVM's masked pixel prediction: a `step.VideoObjective`.

  The model sees all of the source frames and a few patches of each target
  frame, and predicts the pixels of the target frames.

  Attributes:
    model: the RVM to train.
    batch: shapes and dtypes of the arrays a step takes from a batch, by name,
      as `batch_shapes` returns them.
    mask_ratio: share of a target's patches that are hidden, in [0, 1).
  """

  model: rvm.RVM
  batch: Mapping[str, jax.ShapeDtypeStruct]
  mask_ratio: float

  @property
  def patch(self) -> int:
    return self.model.patch

  def init(self, rng: jax.Array) -> Any:
    """Returns fresh parameters."""
    # One row, and one visible patch a target: neither decides any shape.
    source, target, deltas = (
        jnp.zeros((1, *self.batch[key].shape[1:]), dtype)
        for key, dtype in (
            ('source', jnp.float32),
            ('target', jnp.float32),
            ('deltas', jnp.int32),
        )
    )
    visible = deltas[..., None]
    return self.model.init(rng, source, target, deltas, visible)['params']

  def sample(
      self, rng: jax.Array, batch: step.Batch
  ) -> tuple[step.Batch, jax.Array]:
    """Returns the batch and its visible patches, int32 [B, K, V]."""
    batch_size, num_targets, height, width, _ = batch['target'].shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    visible = masks.sample_visible(
        rng,
        (batch_size, num_targets),
        rows * columns,
        masks.num_visible(rows * columns, self.mask_ratio),
    )
    return batch, visible

  def loss(
      self, params: Any, batch: step.Batch, visible: jax.Array
  ) -> jax.Array:
    """Returns the mean squared error over all pixels of all targets."""
    pixels = self._predict(params, batch, visible)
    return losses.pixel_mse(pixels, images.to_float(batch['target'])).mean()

  def encode(self, params: Any, frames: jax.Array) -> jax.Array:
    """Returns the state after each frame without CLS, see `VideoObjective`."""
    states, _ = self.model.apply(
        {'params': params}, images.to_float(frames), method='encode'
    )  # [B, T, 1 + N, D]
    batch, time, height, width, _ = frames.shape
    grid = patches_lib.grid(height, width, self.patch)
    return states[:, :, 1:].reshape(batch, time, *grid, -1)

  def reconstruct(
      self, params: Any, batch: step.Batch, rng: jax.Array
  ) -> step.Reconstructed:
    """Returns the targets as predicted, see `VideoObjective`."""
    batch, visible = self.sample(rng, batch)
    pixels = self._predict(params, batch, visible)
    return step.Reconstructed(batch['target'], visible, pixels)

  def name_axes(self, path: str) -> step.Axes:
    """Returns the logical axes of a parameter of RVM."""
    return rvm.name_axes(path)

  def is_core(self, path: str) -> bool:
    """Returns whether a parameter is the recurrent core's."""
    return rvm.is_core(path)

  def _predict(self, params, batch, visible):
    """Returns the pixels of the targets, float32 [B, K, H, W, 3]."""
    return self.model.apply(
        {'params': params},
        images.to_float(batch['source']),
        images.to_float(batch['target']),
        batch['deltas'],
        visible,
    )


def from_config(config: ml_collections.ConfigDict) -> Pretraining:
  """Returns the objective of a run whose `config.objective` is 'rvm'.

  Args:
    config: the run's config, as in configs/rvm_base.py.

  Raises:
    ValueError: settings conflict; the error names key, value and fix.
  """
  data, patch = config.data, config.model.patch
  for key, side in (('height', data.height), ('width', data.width)):
    if side < 1 or side % patch:
      below = max(side // patch, 1) * patch
      raise ValueError(
          f'config.data.{key}={side} must be a multiple of config.model.patch='
          f'{patch}; use {below} or {below + patch}'
      )
  num_patches = (data.height // patch) * (data.width // patch)
  if config.mask_ratio < 0 or not masks.num_visible(
      num_patches, config.mask_ratio
  ):
    raise ValueError(
        f'config.mask_ratio={config.mask_ratio} must leave at least one of'
        f' {num_patches} patches visible, and not be negative'
    )
  last = (data.num_source - 1) * data.stride + data.max_gap
  if last >= rvm.NUM_DELTAS:
    raise ValueError(
        f'config.data: the last target may lie (num_source - 1) * stride +'
        f' max_gap = {last} frames after the first source frame, and the model'
        f' knows 0..{rvm.NUM_DELTAS - 1}; lower max_gap to'
        f' {data.max_gap - last + rvm.NUM_DELTAS - 1}'
    )
  return Pretraining(
      rvm.RVM(**config.model), batch_shapes(data), config.mask_ratio
  )


def batch_shapes(
    data: ml_collections.ConfigDict,
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns the shapes and dtypes of the arrays a step takes from a batch.

  Args:
    data: the `data` group of a run's config, as in configs/rvm_base.py.
  """
  frame = (data.height, data.width, 3)
  source = (data.batch_size, data.num_source)
  target = (data.batch_size, data.num_target)
  return {
      'source': jax.ShapeDtypeStruct((*source, *frame), 'uint8'),
      'target': jax.ShapeDtypeStruct((*target, *frame), 'uint8'),
      'deltas': jax.ShapeDtypeStruct(target, 'int32'),
  }
