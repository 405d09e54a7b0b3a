"""RVM with self-attention over all source frames in place of its core.

This ablation of RVM shows what the recurrence costs and gains. A clip is
encoded as a whole, so that the cost grows with the square of its length, and
each frame's features depend on the later frames too.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import layers
from rvm_jax.models import rvm
from rvm_jax.models import vit
from rvm_jax.ops import positions


class JointTransformer(nn.Module):
  """A transformer over the tokens of all frames.

  It replaces `recurrent.GatedTransformerCore` and has the same arguments.

  Attributes:
    width: D, width of the tokens.
    num_layers: number of blocks.
    num_heads: number of attention heads in a block.
    mlp_width: hidden width of the MLP in a block.
    dtype: dtype of the matrix products.
    attention: implementation of attention, see `ops.attention.attend`.
    remat: how much of the forward pass is kept for the backward pass, see
      `stacks.rematerialise`.
    scan_layers: whether the blocks run in one loop, see
      `stacks.apply_blocks`.
  """

  width: int
  num_layers: int
  num_heads: int
  mlp_width: int
  dtype: layers.Dtype
  attention: str
  remat: str
  scan_layers: bool = False

  @nn.compact
  def __call__(
      self, tokens: jax.Array, state: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Lets all tokens of T frames attend to each other.

    Args:
      tokens: [B, T, M, D], the encoded frames, of M tokens each.
      state: the recurrent state that another core would update, of any shape.

    Returns:
      features: float32 [B, T, M, D], the tokens of each frame after attention.
      state: the argument `state`, unchanged.
    """
    batch, time, size, width = tokens.shape
    # The encoder has added positions within a frame. This adds the position of
    # the frame.
    times = jnp.asarray(positions.sinusoid(time, width))[None, :, None]
    x = tokens + times.astype(tokens.dtype)
    x = vit.VisionTransformer(
        self.num_layers,
        self.num_heads,
        self.mlp_width,
        self.dtype,
        self.attention,
        self.remat,
        self.scan_layers,
        name='transformer',
    )(x.reshape(batch, time * size, width))
    return x.reshape(tokens.shape).astype(jnp.float32), state


class JointRVM(rvm.RVM):
  """RVM with a `JointTransformer` in place of the recurrent core.

  The settings are those of `rvm.RVM`; `core_layers`, `core_heads` and
  `core_mlp` are those of the transformer.
  """

  @property
  def core(self) -> Callable[..., nn.Module]:
    """The class that replaces the recurrent core."""
    return JointTransformer
