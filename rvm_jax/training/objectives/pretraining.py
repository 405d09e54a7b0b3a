"""Pretraining: what RVM learns from, and its loss."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from rvm_jax.data import pipeline
from rvm_jax.models import rvm
from rvm_jax.ops import losses
from rvm_jax.ops import masks


@dataclasses.dataclass(frozen=True)
class Pretraining:
  """Paints targets, of which a few patches are shown: a `step.Objective`.

  Attributes:
    model: RVM.
    batch: of `batch_shapes`.
    mask_ratio: hidden patches of a target, in 0..1.
  """

  model: rvm.RVM
  batch: Mapping[str, jax.ShapeDtypeStruct]
  mask_ratio: float

  def init(self, rng: jax.Array) -> Any:
    """Fresh parameters."""
    frames = lambda x: jnp.zeros((1, *x.shape[1:]), jnp.float32)
    deltas = jnp.zeros((1, self.batch['deltas'].shape[1]), jnp.int32)
    return self.model.init(
        rng,
        frames(self.batch['source']),
        frames(self.batch['target']),
        deltas,
        deltas[..., None],
    )['params']

  def sample(
      self, rng: jax.Array, batch: Mapping[str, jax.Array]
  ) -> tuple[Mapping[str, jax.Array], jax.Array]:
    """The batch, and the patches shown of its targets: int [B, K, V]."""
    batch_size, num_targets, height, width, _ = batch['target'].shape
    num_patches = (height // self.model.patch) * (width // self.model.patch)
    visible = masks.sample_visible(
        rng,
        (batch_size, num_targets),
        num_patches,
        masks.num_visible(num_patches, self.mask_ratio),
    )
    return batch, visible

  def loss(
      self, params: Any, batch: Mapping[str, jax.Array], visible: jax.Array
  ) -> jax.Array:
    """Mean loss of clips with uint8 frames."""
    to_float = lambda x: x.astype(jnp.float32) / 255
    target = to_float(batch['target'])
    pixels = self.model.apply(
        {'params': params},
        to_float(batch['source']),
        target,
        batch['deltas'],
        visible,
    )
    return losses.pixel_mse(pixels, target).mean()


def from_config(config: ml_collections.ConfigDict) -> Pretraining:
  """The objective of a run, `config` as in configs/rvm_base.py."""
  return Pretraining(
      rvm.RVM(**config.model), batch_shapes(config.data), config.mask_ratio
  )


def batch_shapes(
    data: ml_collections.ConfigDict,
) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes and dtypes of what a step takes of a batch."""
  size = (data.height, data.width, 3)
  shape = lambda n: (data.batch_size, n)
  return {
      'source': jax.ShapeDtypeStruct((*shape(data.num_source), *size), 'uint8'),
      'target': jax.ShapeDtypeStruct((*shape(data.num_target), *size), 'uint8'),
      'deltas': jax.ShapeDtypeStruct(shape(data.num_target), 'int32'),
  }


def open_data(config: ml_collections.ConfigDict) -> pipeline.Pipeline:
  """The run's clips: of each batch, the part of this process."""
  return pipeline.Pipeline(
      **config.data,
      seed=config.seed,
      shard_index=jax.process_index(),
      shard_count=jax.process_count(),
  )
