"""The objective 'siammae': it predicts a later frame's hidden patches.

The model sees one source frame and a few patches of the later frame.

Source: Gupta et al., "Siamese Masked Autoencoders", arXiv 2305.14344.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from rvm_jax.models import siammae
from rvm_jax.ops import images
from rvm_jax.ops import losses
from rvm_jax.ops import masks
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import flops
from rvm_jax.training import protocols
from rvm_jax.training.objectives import casting
from rvm_jax.training.objectives import pretraining
from rvm_jax.training.objectives import settings


@dataclasses.dataclass(frozen=True, eq=False)
class SiamMAE:
  """SiamMAE's masked pixel prediction: a `protocols.VideoObjective`.

  The model sees one source frame and a few patches of each target frame, and
  predicts the hidden patches, normalised patch by patch. Unlike RVM it is not
  told how far a target lies after the source.

  Attributes:
    model: the SiamMAE to train.
    batch: shapes and dtypes of the arrays that a step takes from a batch, by
      name: 'source', uint8 [B, 1, H, W, 3], and 'target', uint8 [B, K, H, W,
      3].
    mask_ratio: share of the patches of a target that are hidden, in (0, 1).
  """

  model: siammae.SiamMAE
  batch: Mapping[str, jax.ShapeDtypeStruct]
  mask_ratio: float

  @property
  def patch(self) -> int:
    """Side of the model's patches in pixels."""
    return self.model.patch

  @property
  def clip_length(self) -> int | None:
    """None, since each frame is encoded on its own."""
    return None

  @property
  def flops_per_clip(self) -> float:
    """FLOPs of a training step for one clip: three forward passes."""
    num_targets = self.batch['target'].shape[1]
    size, visible = self._counts()
    model = self.model
    d, w, pixels = model.width, model.decoder_width, 3 * model.patch**2
    seen = size + num_targets * visible
    encoder = flops.dense(seen, pixels, d) + sum(
        count * flops.transformer(q, d, model.encoder_layers, model.encoder_mlp)
        for count, q in ((1, size), (num_targets, visible))
    )
    decoder = flops.cross_transformer(
        num_targets, size, size, w, model.decoder_layers, model.decoder_mlp
    )
    head = flops.dense(num_targets * (size - visible), w, pixels)
    return 3.0 * (encoder + flops.dense(seen, d, w) + decoder + head)

  def init(self, rng: jax.Array) -> Any:
    """Returns fresh parameters."""
    frame = jnp.zeros((1, *self.batch['source'].shape[2:]), jnp.float32)
    # No parameter's shape depends on the numbers of targets and patches, so one
    # target with one visible patch (0) and one hidden patch (1) is enough.
    places = jnp.zeros((1, 1, 1), jnp.int32)
    params = self.model.init(rng, frame, frame[:, None], places, places + 1)
    return params['params']

  def sample(
      self, rng: jax.Array, batch: protocols.Batch
  ) -> tuple[protocols.Batch, jax.Array, jax.Array]:
    """Samples which patches of each target are visible to the model.

    Args:
      rng: random key.
      batch: arrays as described by `SiamMAE.batch`.

    Returns:
      The batch as it is, and the raster indices of the visible and of the
      hidden patches, int32 [B, K, V] and [B, K, N - V].
    """
    size, visible = self._counts()
    shape = batch['target'].shape[:2]
    return batch, *masks.sample_split(rng, shape, size, visible)

  def cast(self, params: Any) -> Any:
    """Returns parameters in the dtypes that the model uses, see `casting`."""
    return casting.cast(params, self.model.dtype)

  def loss(
      self,
      params: Any,
      batch: protocols.Batch,
      visible: jax.Array,
      hidden: jax.Array,
  ) -> jax.Array:
    """Returns the mean squared error over all normalised hidden patches."""
    predicted = self._predict(params, batch, visible, hidden)
    target = self._take(batch, hidden)
    mean, deviation = _scale(target)
    return losses.hidden_mse(predicted, (target - mean) / deviation)

  def encode(self, params: Any, frames: jax.Array) -> jax.Array:
    """Returns features of patches, see `VideoObjective.encode`."""
    batch, time, height, width, _ = frames.shape
    features = self._apply(
        params, frames.reshape(-1, *frames.shape[2:]), method='encode'
    )
    grid = patches_lib.grid(height, width, self.patch)
    return features.reshape(batch, time, *grid, -1).astype(jnp.float32)

  def reconstruct(
      self, params: Any, batch: protocols.Batch, rng: jax.Array
  ) -> protocols.Reconstructed:
    """Predicts the target frames, see `VideoObjective.reconstruct`.

    Mean and variance of each hidden patch are those of the target, since the
    model does not predict them; visible patches are the target's own.
    """
    batch, visible, hidden = self.sample(rng, batch)
    mean, deviation = _scale(self._take(batch, hidden))
    # Undo the normalisation, then put the predictions over the hidden patches.
    found = self._predict(params, batch, visible, hidden) * deviation + mean
    target = batch['target']
    size = found.shape[-1]
    pixels = patches_lib.put(
        images.to_float(patches_lib.patchify(target, self.patch)).reshape(
            target.shape[0] * target.shape[1], 1, -1, size
        ),
        hidden.reshape(-1, hidden.shape[-1]),
        found.reshape(-1, *found.shape[2:]),
    ).reshape(*target.shape[:2], -1, size)
    height, width = target.shape[2:4]
    return protocols.Reconstructed(
        target,
        visible,
        patches_lib.unpatchify(pixels, height, width, self.patch),
    )

  def is_core(self, path: str) -> bool:
    """Returns False, since there is no recurrent core."""
    del path
    return False

  def _counts(self) -> tuple[int, int]:
    """Returns the number of patches of a frame and how many are visible."""
    height, width = self.batch['target'].shape[2:4]
    rows, columns = patches_lib.grid(height, width, self.patch)
    size = rows * columns
    return size, masks.num_visible(size, self.mask_ratio)

  def _take(self, batch: protocols.Batch, hidden: jax.Array) -> jax.Array:
    """Returns the hidden patches, float32 in [0, 1].

    Args:
      batch: arrays as described by `SiamMAE.batch`.
      hidden: int32 [B, K, N - V], raster indices of the hidden patches.

    Returns:
      float32 [B, K, N - V, P * P * 3].
    """
    patches = patches_lib.patchify(batch['target'], self.patch)
    found = jnp.take_along_axis(patches, hidden[..., None], axis=2)
    return images.to_float(found)

  def _predict(self, params, batch, visible, hidden):
    """Predicts the normalised hidden patches."""
    source = batch['source'][:, 0]
    return self._apply(params, source, batch['target'], visible, hidden)

  def _apply(self, params, *inputs, method='__call__'):
    """Applies a method of the model."""
    return self.model.apply({'params': params}, *inputs, method=method)


def _scale(patches: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns the mean and the deviation that normalise each patch, [..., 1]."""
  mean, variance = losses.moments(patches, -1)
  return mean, jnp.sqrt(variance + 1e-6)


def from_config(config: ml_collections.ConfigDict) -> SiamMAE:
  """Returns the objective of a run whose `config.objective` is 'siammae'.

  Args:
    config: the run's config, as in configs/siammae_small.py.

  Raises:
    ValueError: settings conflict. The message names the key, its value and a
      value to use.
  """
  settings.check_model(
      config,
      settings.ENCODER | settings.DECODER,
      {'encoder': 'width', 'decoder': 'decoder_width'},
  )
  settings.check_hidden(config)
  settings.check_is(config, 'num_source', 1, 'has one source frame')
  batch = pretraining.batch_shapes(config.data)
  del batch['deltas']
  return SiamMAE(
      siammae.SiamMAE(**config.model),
      batch,
      config.mask_ratio,
  )
