"""What an objective must have to be trained and to be evaluated."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax

# Arrays by name.
Batch = Mapping[str, jax.Array]


class Objective(Protocol):
  """The part of an objective that a training step uses.

  An objective may also have these attributes:
    flops_per_clip: float, the FLOPs of a step for one clip, as `training.flops`
      counts them. Without it a run does not report which share of its devices'
      peak it reaches.
    uses_ema: bool, whether `loss` takes the EMA of the parameters as a further
      argument `ema`, cast and gathered like `params`. No gradient is computed
      with respect to the EMA. If the attribute is missing, `loss` takes no EMA.
  """

  @property
  def batch(self) -> Mapping[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of the arrays that a step takes from a batch, by name.

    The first axis of each array is the batch axis.
    """

  def init(self, rng: jax.Array) -> Any:
    """Returns fresh parameters."""

  def sample(self, rng: jax.Array, batch: Batch) -> tuple[Any, ...]:
    """Returns the inputs of `loss`; whatever is random is sampled here.

    Args:
      rng: random key of the step.
      batch: arrays as described by `Objective.batch`.

    Returns:
      The arguments of `loss` after `params`: trees of arrays whose first axis
      is the batch axis.
    """

  def cast(self, params: Any) -> Any:
    """Returns parameters in the dtypes in which `loss` uses them.

    A step casts once, before it gathers the parts of parameters that are split
    over devices.

    Args:
      params: parameters, as `init` returns them, or a device's part of each.
    """

  def loss(self, params: Any, *inputs: Any) -> jax.Array:
    """Returns the mean loss over the batch, float32 [].

    It is computed on each device for the device's own rows.

    Args:
      params: parameters, as `cast` returns them.
      *inputs: inputs, as `sample` returns them, with any number of rows.
    """

  def is_core(self, path: str) -> bool:
    """Returns whether a parameter decays by the config's `core_weight_decay`.

    Args:
      path: the parameter's path in the tree, joined with '/'.
    """


class Reconstructed(NamedTuple):
  """Target frames, and a model's prediction from some of their patches.

  Attributes:
    target: uint8 [B, K, H, W, 3], ground truth of the target frames.
    visible: int32 [B, K, V], raster indices of the patches that were visible to
      the model.
    pixels: float32 [B, K, H, W, 3] in [0, 1], the model's prediction.
  """

  target: jax.Array
  visible: jax.Array
  pixels: jax.Array


class Attention(NamedTuple):
  """Where a model looks in the source frames when it predicts target frames.

  Attributes:
    visible: int32 [B, K, V], raster indices of the patches of each target that
      were visible to the model.
    weights: float32 [B, L, K, N, T, N], for each of L layers of the decoder the
      attention of each patch of a target to each patch of the source frames,
      as the mean over heads. The sum over the last two axes is at most 1: the
      rest is attention to other tokens, such as CLS.
    update_gate: float32 [B] in [0, 1], the update gate of the recurrent core,
      as the mean over the second and later source frames, their patches and
      the D channels. At 1 each frame replaces the state, at 0 the state stays.
      None if there is no recurrent core or no second frame.
  """

  visible: jax.Array
  weights: jax.Array
  update_gate: jax.Array | None


class VideoObjective(Objective, Protocol):
  """An objective that trains a video encoder, with what evaluators use.

  The functions `encode` and `reconstruct` can be traced by `jax.jit`. The
  objective itself can be a static argument, since it is hashed by identity.

  If its decoder attends to source frames, it may also have a function `attend`
  with the arguments of `reconstruct`, which returns `Attention`.
  """

  @property
  def patch(self) -> int:
    """P, side of the encoder's patches in pixels."""

  @property
  def clip_length(self) -> int | None:
    """Number of frames that `encode` takes together, in windows from frame 0.

    None if it encodes each frame on its own, or is recurrent.
    """

  def encode(self, params: Any, frames: jax.Array) -> jax.Array:
    """Returns one feature for each patch of each frame.

    Args:
      params: parameters, as `init` returns them.
      frames: uint8 [B, T, H, W, 3], the frames of B videos. A recurrent encoder
        starts each video from its initial state.

    Returns:
      The features, float32 [B, T, H / P, W / P, D].
    """

  def reconstruct(
      self, params: Any, batch: Batch, rng: jax.Array
  ) -> Reconstructed | None:
    """Predicts the target frames of a batch from some of their patches.

    Args:
      params: parameters, as `init` returns them.
      batch: arrays as described by `Objective.batch`, with any number of rows.
      rng: random key that decides which patches are visible to the model.

    Returns:
      The prediction; None if the objective does not predict pixels.
    """
