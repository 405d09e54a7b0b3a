"""The objective 'vjepa': it predicts features of the hidden part of a clip.

Source: Bardes et al., "Revisiting Feature Prediction for Learning Visual
Representations from Video" (V-JEPA), arXiv 2404.08471. The targets come from
the EMA of the parameters. Its decay, `config.ema_decay`, is constant, as in
V-JEPA 2 (arXiv 2506.09985); in V-JEPA it rises from 0.998 to 1.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from rvm_jax import rules
from rvm_jax.models import vjepa
from rvm_jax.ops import losses
from rvm_jax.ops import masks
from rvm_jax.ops import patches as patches_lib
from rvm_jax.training import flops
from rvm_jax.training import protocols
from rvm_jax.training.objectives import casting
from rvm_jax.training.objectives import pretraining
from rvm_jax.training.objectives import settings
from rvm_jax.training.objectives import windows

# The rules of the settings of the predictor in the group `model`.
_PREDICTOR = {
    'predictor_width': rules.COUNT,
    'predictor_layers': rules.COUNT,
    'predictor_heads': rules.COUNT,
    'predictor_mlp': rules.COUNT,
}
# The paper's kinds of masks, many small blocks and a few large ones, each as
# arguments of `masks.sample_blocks`. A block hides the same patches in every
# frame.
MASKS: tuple[dict[str, Any], ...] = (
    dict(num_blocks=8, scale=0.15, aspect=(0.75, 1.5)),
    dict(num_blocks=2, scale=0.7, aspect=(0.75, 1.5)),
)


@dataclasses.dataclass(frozen=True, eq=False)
class VJEPA:
  """V-JEPA's prediction of hidden features: a `protocols.VideoObjective`.

  The source frames are the clip. The target encoder, whose parameters are the
  EMA, sees the whole clip. For each kind of mask, the encoder sees only what
  lies outside of the blocks, and from its features a predictor predicts those
  of the target encoder inside of the blocks. Every mask of a kind leaves the
  same number of patches visible, the mean of its kind: see
  `masks.sample_blocks`. V-JEPA instead cuts the masks of a batch to the
  smallest of them.

  Attributes:
    model: the V-JEPA to train.
    batch: shape and dtype of the array that a step takes from a batch:
      'source', uint8 [B, T, H, W, 3].
    uses_ema: True, since `loss` takes the EMA, see `protocols.Objective`.
  """

  model: vjepa.VJEPA
  batch: Mapping[str, jax.ShapeDtypeStruct]
  uses_ema: bool = True

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
    """FLOPs of a training step for one clip.

    They are three forward passes of encoder and predictor for each kind of
    mask, and one of the target encoder.
    """
    model = self.model
    steps, rows, columns = model.grid
    tokens = steps * rows * columns
    d, w = model.width, model.predictor_width
    pixels = 3 * vjepa.TUBELET * model.patch**2

    def count_encoder(q):
      return flops.dense(q, pixels, d) + flops.transformer(
          q, d, model.encoder_layers, model.encoder_mlp
      )

    total = count_encoder(tokens)
    for visible_patches in self._nums_visible():
      visible = steps * visible_patches
      predictor = flops.transformer(
          tokens, w, model.predictor_layers, model.predictor_mlp
      )
      total += 3 * (
          count_encoder(visible)
          + flops.dense(visible, d, w)
          + predictor
          + flops.dense(tokens - visible, w, d)
      )
    return float(total)

  def init(self, rng: jax.Array) -> Any:
    """Returns fresh parameters."""
    frames = jnp.zeros((1, *self.batch['source'].shape[1:]), jnp.float32)
    # No parameter's shape depends on the numbers of patches, so one visible
    # patch (0) and one hidden patch (1) are enough.
    place = jnp.zeros((1, 1), jnp.int32)
    return self.model.init(rng, frames, [(place, place + 1)])['params']

  def sample(
      self, rng: jax.Array, batch: protocols.Batch
  ) -> tuple[jax.Array, list[tuple[jax.Array, jax.Array]]]:
    """Samples a mask of each kind for each clip.

    Args:
      rng: random key.
      batch: arrays as described by `VJEPA.batch`.

    Returns:
      The clips, uint8 [B, T, H, W, 3]; and for each kind of mask the raster
      indices of the patches that are visible and of those that are hidden in
      all frames, int32 [B, V] and [B, N - V].
    """
    clips = batch['source']
    keys = jax.random.split(rng, len(MASKS))
    return clips, [
        masks.sample_blocks(
            key, clips.shape[:1], self.model.grid[1:], visible=visible, **kind
        )
        for key, visible, kind in zip(keys, self._nums_visible(), MASKS)
    ]

  def cast(self, params: Any) -> Any:
    """Returns parameters in the dtypes that the model uses, see `casting`."""
    return casting.cast(params, self.model.dtype)

  def loss(
      self,
      params: Any,
      clips: jax.Array,
      sampled: list[tuple[jax.Array, jax.Array]],
      ema: Any = None,
  ) -> jax.Array:
    """Returns the mean over the kinds of masks of `losses.feature_l1`.

    Args:
      params: parameters, as `cast` returns them.
      clips: uint8 [B, T, H, W, 3].
      sampled: masks, as `sample` returns them.
      ema: EMA of the parameters, with which the targets are computed; None to
        compute them with `params`. No gradient flows through the targets in
        either case.
    """
    teacher = jax.lax.stop_gradient(params if ema is None else ema)
    features = self._apply(teacher, clips, method='encode')
    predictions = self._apply(params, clips, sampled)
    found = [
        losses.feature_l1(predicted, patches_lib.take(features, hidden))
        for predicted, (_, hidden) in zip(predictions, sampled)
    ]
    return jnp.stack(found).mean()

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
  ) -> None:
    """Returns None, since no pixels are predicted."""
    del params, batch, rng

  def is_core(self, path: str) -> bool:
    """Returns False, since there is no recurrent core."""
    del path
    return False

  def _nums_visible(self) -> list[int]:
    """Returns how many patches of a frame each kind of mask leaves visible."""
    grid = self.model.grid[1:]
    return [masks.num_outside_blocks(grid, **kind) for kind in MASKS]

  def _apply(self, params, *inputs, method='__call__'):
    """Applies a method of the model."""
    return self.model.apply({'params': params}, *inputs, method=method)


def from_config(config: ml_collections.ConfigDict) -> VJEPA:
  """Returns the objective of a run whose `config.objective` is 'vjepa'.

  Args:
    config: the run's config, as in configs/vjepa_large.py.

  Raises:
    ValueError: settings conflict. The message names the key, its value and a
      value to use.
  """
  settings.check_model(
      config,
      settings.ENCODER | _PREDICTOR,
      {'encoder': 'width', 'predictor': 'predictor_width'},
  )
  settings.check_clip(config, vjepa.TUBELET)
  if config.mask_ratio:
    raise ValueError(
        f'config.mask_ratio={config.mask_ratio} must be 0:'
        " config.objective='vjepa' hides blocks of the paper's sizes instead"
    )
  if config.ema_decay is None:
    raise ValueError(
        'config.ema_decay must be set, such as 0.99925: config.objective='
        "'vjepa' predicts the features of the EMA"
    )
  data = config.data
  grid = (
      data.num_source // vjepa.TUBELET,
      *patches_lib.grid(data.height, data.width, config.model.patch),
  )
  return VJEPA(
      vjepa.VJEPA(grid, len(MASKS), **config.model),
      {'source': pretraining.batch_shapes(data)['source']},
  )
