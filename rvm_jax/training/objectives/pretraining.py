"""The objective 'rvm': RVM predicts the pixels of masked future frames."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from rvm_jax import rules
from rvm_jax.models import content_first
from rvm_jax.models import decoder
from rvm_jax.models import layers
from rvm_jax.models import rvm
from rvm_jax.ops import images
from rvm_jax.ops import losses
from rvm_jax.ops import masks
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import flops
from rvm_jax.training import protocols
from rvm_jax.training.objectives import casting
from rvm_jax.training.objectives import settings

# The rule of each setting of the group `model`, the arguments of `rvm.RVM`.
MODEL_SETTINGS = {
    **settings.ENCODER,
    **settings.DECODER,
    'core_layers': rules.COUNT,
    'core_heads': rules.COUNT,
    'core_mlp': rules.COUNT,
    'content_first': rules.FLAG,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Pretraining:
  """RVM's masked pixel prediction: a `protocols.VideoObjective`.

  The model sees all of the source frames and a few patches of each target
  frame, and predicts the pixels of the target frames.

  Attributes:
    model: the RVM to train.
    batch: shapes and dtypes of the arrays that a step takes from a batch, by
      name, as returned by `batch_shapes`.
    mask_ratio: share of the patches of a target frame that are hidden from the
      model, in [0, 1).
  """

  model: rvm.RVM
  batch: Mapping[str, jax.ShapeDtypeStruct]
  mask_ratio: float

  @property
  def patch(self) -> int:
    """Side of the model's patches in pixels."""
    return self.model.patch

  @property
  def clip_length(self) -> int | None:
    """None, since the encoder is recurrent, see `VideoObjective`."""
    return None

  @property
  def flops_per_clip(self) -> float:
    """FLOPs of a training step for one clip, see `flops.count_training`."""
    _, num_source, *_ = self.batch['source'].shape
    _, num_target, height, width, _ = self.batch['target'].shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    return flops.count_training(
        self.model,
        num_source=num_source,
        num_target=num_target,
        num_patches=rows * columns,
        num_visible=masks.num_visible(rows * columns, self.mask_ratio),
    )

  def init(self, rng: jax.Array) -> Any:
    """Returns fresh parameters."""
    # No parameter's shape depends on the batch size or on the number of visible
    # patches, so the model is traced with one sample and one visible patch for
    # each target: patch 0.
    source, target, deltas = (
        jnp.zeros((1, *self.batch[key].shape[1:]), dtype)
        for key, dtype in (
            ('source', jnp.float32),
            ('target', jnp.float32),
            ('deltas', jnp.int32),
        )
    )
    visible = jnp.zeros((*deltas.shape, 1), jnp.int32)
    params = self.model.init(rng, source, target, deltas, visible)['params']
    if self.model.content_first:
      return content_first.favour(params)
    return params

  def sample(
      self, rng: jax.Array, batch: protocols.Batch
  ) -> tuple[protocols.Batch, jax.Array]:
    """Samples which patches of each target are visible to the model.

    Args:
      rng: random key.
      batch: arrays as described by `Pretraining.batch`.

    Returns:
      The batch as it is, and the raster indices of the visible patches, int32
      [B, K, V].
    """
    batch_size, num_targets, height, width, _ = batch['target'].shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    visible = masks.sample_visible(
        rng,
        (batch_size, num_targets),
        rows * columns,
        masks.num_visible(rows * columns, self.mask_ratio),
    )
    return batch, visible

  def cast(self, params: Any) -> Any:
    """Returns parameters in the dtypes that the model uses, see `casting`."""
    return casting.cast(params, self.model.dtype)

  def loss(
      self, params: Any, batch: protocols.Batch, visible: jax.Array
  ) -> jax.Array:
    """Returns the mean squared error over all pixels of all target frames."""
    predicted = self._predict(params, batch, visible, 'predict_patches')
    target = patches_lib.patchify(batch['target'], self.patch)
    return losses.pixel_mse(predicted, images.to_float(target)).mean()

  def encode(self, params: Any, frames: jax.Array) -> jax.Array:
    """Returns the patches' part of the recurrent state after each frame.

    The CLS token is left out. See `VideoObjective.encode`.
    """
    states, _ = self.model.apply(
        {'params': params}, frames, method='encode'
    )  # [B, T, 1 + N, D]
    batch, time, height, width, _ = frames.shape
    grid = patches_lib.grid(height, width, self.patch)
    return states[:, :, 1:].reshape(batch, time, *grid, -1)

  def reconstruct(
      self, params: Any, batch: protocols.Batch, rng: jax.Array
  ) -> protocols.Reconstructed:
    """Predicts the target frames, see `VideoObjective.reconstruct`."""
    batch, visible = self.sample(rng, batch)
    pixels = self._predict(params, batch, visible)
    return protocols.Reconstructed(batch['target'], visible, pixels)

  def attend(
      self, params: Any, batch: protocols.Batch, rng: jax.Array
  ) -> protocols.Attention:
    """Returns where the decoder looks, see `protocols.Attention`."""
    batch, visible = self.sample(rng, batch)
    # Blocks that are in a loop or rematerialised do not store their attention
    # weights.
    model = self.model.clone(remat='none', scan_layers=False)
    left: Any
    _, left = model.apply(
        {'params': params},
        batch['source'],
        batch['target'],
        batch['deltas'],
        visible,
        method='predict_patches',
        mutable=[layers.WEIGHTS],
    )
    # Take the mean over heads in each block, then drop the CLS tokens.
    blocks = left[layers.WEIGHTS]['decoder']
    weights = jnp.stack(
        [
            blocks[name]['ca_attention']['weights'][0].mean(1)
            for name in layers.name_cross_blocks(model.decoder_layers)
        ],
        axis=1,
    )  # [B, L, K * (1 + N), T * (1 + N)]
    batch_size, num_targets, height, width, _ = batch['target'].shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    size = 1 + rows * columns
    weights = weights.reshape(
        batch_size, model.decoder_layers, num_targets, size, -1, size
    )
    return protocols.Attention(
        visible, weights[..., 1:, :, 1:], self._update_gate(params, batch)
    )

  def is_core(self, path: str) -> bool:
    """Returns whether a parameter belongs to the recurrent core."""
    return path.startswith('rnn_core/')

  def _update_gate(self, params, batch):
    """Returns the mean update gate of the patches, float32 [B], or None."""
    if batch['source'].shape[1] == 1:
      return None
    gates: Any = self.model.apply(
        {'params': params}, batch['source'], method='update_gates'
    )
    # In the first frame the gate has only a state of zeros to replace.
    return gates[:, 1:, 1:].mean((1, 2, 3))

  def _predict(self, params, batch, visible, method='__call__'):
    """Predicts the pixels of the target frames.

    Args:
      params: parameters.
      batch: arrays as described by `Pretraining.batch`.
      visible: int32 [B, K, V], raster indices of the visible patches.
      method: method of the model to call, '__call__' for frames or
        'predict_patches' for patches.
    """
    return self.model.apply(
        {'params': params},
        batch['source'],
        batch['target'],
        batch['deltas'],
        visible,
        method=method,
    )


def from_config(config: ml_collections.ConfigDict) -> Pretraining:
  """Returns the objective of a run whose `config.objective` is 'rvm'.

  Args:
    config: the run's config, as in configs/rvm_base.py.

  Raises:
    ValueError: settings conflict. The message names the key, its value and a
      value to use.
  """
  check(config)
  return Pretraining(
      rvm.RVM(**config.model), batch_shapes(config.data), config.mask_ratio
  )


def check(config: ml_collections.ConfigDict):
  """Checks the settings of a run that trains an RVM.

  Args:
    config: the run's config, as in configs/rvm_base.py.

  Raises:
    ValueError: settings conflict. The message names the key, its value and a
      value to use.
  """
  settings.check_model(
      config,
      MODEL_SETTINGS,
      {'encoder': 'width', 'core': 'width', 'decoder': 'decoder_width'},
  )
  settings.check_mask_ratio(config)
  data = config.data
  # The largest delta that the data can contain, in frames from the first source
  # frame.
  max_delta = (data.num_source - 1) * data.stride + data.max_gap
  if max_delta >= decoder.NUM_DELTAS:
    fitting = data.max_gap - max_delta + decoder.NUM_DELTAS - 1
    remedy = (
        f'max_gap to {fitting}'
        if fitting >= data.min_gap
        else 'num_source, stride or min_gap, and max_gap'
    )
    raise ValueError(
        f'config.data: the last target may lie (num_source - 1) * stride +'
        f' max_gap = {max_delta} frames after the first source frame, but the'
        f' model takes deltas of 0..{decoder.NUM_DELTAS - 1}; lower {remedy}'
    )


def batch_shapes(
    data: ml_collections.ConfigDict,
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns the shapes and dtypes of the arrays that a step takes.

  Args:
    data: the `data` group of a run's config, as in configs/rvm_base.py.

  Returns:
    'source', uint8 [B, T, H, W, 3]; 'target', uint8 [B, K, H, W, 3]; 'deltas',
    int32 [B, K]. B is the batch size over all devices.
  """
  frame = (data.height, data.width, 3)
  source = (data.batch_size, data.num_source)
  target = (data.batch_size, data.num_target)
  return {
      'source': jax.ShapeDtypeStruct((*source, *frame), 'uint8'),
      'target': jax.ShapeDtypeStruct((*target, *frame), 'uint8'),
      'deltas': jax.ShapeDtypeStruct(target, 'int32'),
  }
