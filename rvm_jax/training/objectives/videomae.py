"""The objective 'videomae': it predicts the hidden tubes of a clip.

A tubelet is a patch in two successive frames. A tube is the patch at one place
in all frames of the clip: all its tubelets are visible, or all are hidden.

Source: Tong et al., "VideoMAE", arXiv 2203.12602.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from rvm_jax.models import videomae
from rvm_jax.ops import images
from rvm_jax.ops import losses
from rvm_jax.ops import masks
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import flops
from rvm_jax.training import protocols
from rvm_jax.training.objectives import casting
from rvm_jax.training.objectives import pretraining
from rvm_jax.training.objectives import settings
from rvm_jax.training.objectives import windows


@dataclasses.dataclass(frozen=True, eq=False)
class VideoMAE:
  """VideoMAE's masked pixel prediction: a `protocols.VideoObjective`.

  The source frames are the clip. The model sees the same few patches of each of
  its frames, and predicts the others, normalised channel by channel within each
  tubelet.

  Attributes:
    model: the VideoMAE to train.
    batch: shape and dtype of the array that a step takes from a batch:
      'source', uint8 [B, T, H, W, 3].
    mask_ratio: share of the patches of a frame that are hidden, in (0, 1).
  """

  model: videomae.VideoMAE
  batch: Mapping[str, jax.ShapeDtypeStruct]
  mask_ratio: float

  @property
  def patch(self) -> int:
    """Side of the model's patches in pixels."""
    return self.model.patch

  @property
  def clip_length(self) -> int:
    """T, number of source frames: videos are encoded in windows of T frames."""
    return self.batch['source'].shape[1]

  @property
  def flops_per_clip(self) -> float:
    """FLOPs of a training step for one clip: three forward passes."""
    model = self.model
    # All numbers are those of tubelets.
    steps, rows, columns = model.grid
    hidden = steps * masks.num_hidden(rows * columns, self.mask_ratio)
    tokens = steps * rows * columns
    visible = tokens - hidden
    d, w = model.width, model.decoder_width
    pixels = 3 * videomae.TUBELET * model.patch**2
    return 3.0 * (
        flops.dense(visible, pixels, d)
        + flops.transformer(visible, d, model.encoder_layers, model.encoder_mlp)
        + flops.dense(visible, d, w)
        + flops.transformer(tokens, w, model.decoder_layers, model.decoder_mlp)
        + flops.dense(hidden, w, pixels)
    )

  def init(self, rng: jax.Array) -> Any:
    """Returns fresh parameters."""
    frames = jnp.zeros((1, *self.batch['source'].shape[1:]), jnp.float32)
    # No parameter's shape depends on the numbers of patches, so one visible
    # patch (0) and one hidden patch (1) are enough.
    place = jnp.zeros((1, 1), jnp.int32)
    return self.model.init(rng, frames, place, place + 1)['params']

  def sample(
      self, rng: jax.Array, batch: protocols.Batch
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Samples which tubes are visible to the model.

    Args:
      rng: random key.
      batch: arrays as described by `VideoMAE.batch`.

    Returns:
      The clips, uint8 [B, T, H, W, 3], and the raster indices of the patches
      that are visible and of those that are hidden in all frames, int32 [B, V]
      and [B, N - V].
    """
    clips = batch['source']
    _, rows, columns = self.model.grid
    size = rows * columns
    # VideoMAE rounds the number of hidden patches, not that of visible ones.
    visible = size - masks.num_hidden(size, self.mask_ratio)
    return clips, *masks.sample_split(rng, clips.shape[:1], size, visible)

  def cast(self, params: Any) -> Any:
    """Returns parameters in the dtypes that the model uses, see `casting`."""
    return casting.cast(params, self.model.dtype)

  def loss(
      self,
      params: Any,
      clips: jax.Array,
      visible: jax.Array,
      hidden: jax.Array,
  ) -> jax.Array:
    """Returns the mean squared error over the normalised hidden tubelets."""
    predicted = self._apply(params, clips, visible, hidden)
    target = self._take(clips, hidden)
    mean, deviation = _scale(target)
    target = (target - mean) / deviation
    return losses.hidden_mse(predicted, target.reshape(predicted.shape))

  def encode(self, params: Any, frames: jax.Array) -> jax.Array:
    """Returns features of patches, see `VideoObjective.encode`.

    Both frames of a tubelet get the features of the tubelet.
    """
    height, width = frames.shape[2:4]
    grid = patches_lib.grid(height, width, self.patch)

    def encode_clips(clips):
      found = self._apply(params, clips, method='encode')
      return found.reshape(*found.shape[:2], *grid, -1).astype(jnp.float32)

    return windows.encode(encode_clips, frames, self.clip_length)

  def reconstruct(
      self, params: Any, batch: protocols.Batch, rng: jax.Array
  ) -> protocols.Reconstructed:
    """Predicts the clips, see `VideoObjective.reconstruct`.

    The target is the first frame of each tubelet. Mean and variance of each
    hidden tubelet are those of the target, since the model does not predict
    them; visible tubelets are the target's own.
    """
    clips, visible, hidden = self.sample(rng, batch)
    found = self._apply(params, clips, visible, hidden)
    # Undo the normalisation, then put the predictions over the hidden tubelets.
    mean, deviation = _scale(self._take(clips, hidden))
    channels = (*found.shape[:2], -1, 3)
    found = (found.reshape(channels) * deviation + mean).reshape(found.shape)
    tubelets = patches_lib.tubelets(clips, self.patch, videomae.TUBELET)
    height, width = clips.shape[2:4]
    pixels = patches_lib.untubelets(
        patches_lib.put(images.to_float(tubelets), hidden, found),
        height,
        width,
        self.patch,
        videomae.TUBELET,
    )
    firsts = slice(None, None, videomae.TUBELET)
    steps = clips.shape[1] // videomae.TUBELET
    return protocols.Reconstructed(
        clips[:, firsts],
        jnp.repeat(visible[:, None], steps, 1),
        pixels[:, firsts],
    )

  def is_core(self, path: str) -> bool:
    """Returns False, since there is no recurrent core."""
    del path
    return False

  def _take(self, clips: jax.Array, hidden: jax.Array) -> jax.Array:
    """Returns the hidden tubelets in [0, 1].

    Args:
      clips: uint8 [B, T, H, W, 3].
      hidden: int32 [B, N - V], raster indices of the hidden patches.

    Returns:
      float32 [B, T / 2 * (N - V), 2 * P * P, 3].
    """
    tubelets = patches_lib.tubelets(clips, self.patch, videomae.TUBELET)
    found = images.to_float(patches_lib.take(tubelets, hidden))
    return found.reshape(*found.shape[:2], -1, 3)

  def _apply(self, params, *inputs, method='__call__'):
    """Applies a method of the model."""
    return self.model.apply({'params': params}, *inputs, method=method)


def _scale(tubelets: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns mean and deviation that normalise each channel, [..., 1, 3]."""
  mean, variance = losses.moments(tubelets, -2)
  return mean, jnp.sqrt(variance) + 1e-6


def from_config(config: ml_collections.ConfigDict) -> VideoMAE:
  """Returns the objective of a run whose `config.objective` is 'videomae'.

  Args:
    config: the run's config, as in configs/videomae_base.py.

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
  settings.check_clip(config, videomae.TUBELET)
  data = config.data
  grid = (
      data.num_source // videomae.TUBELET,
      *patches_lib.grid(data.height, data.width, config.model.patch),
  )
  return VideoMAE(
      videomae.VideoMAE(grid, **config.model),
      {'source': pretraining.batch_shapes(data)['source']},
      config.mask_ratio,
  )
