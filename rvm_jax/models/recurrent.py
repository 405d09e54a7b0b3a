"""The recurrent core: a transformer inside the gates of a GRU."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import layers


class GatedTransformerCore(nn.Module):
  """Updates a recurrent state with the tokens of each frame in turn.

      update     u = sigmoid(W_ue e + W_us s)
      reset      r = sigmoid(W_re e + W_rs s)
      candidate  c = X(queries e, context r * LN(s))
      state      s' = (1 - u) * s + u * c

  Here e are the tokens of a frame, s is the state before the frame, and s' the
  state after it, which is also the frame's features. Tokens and state have the
  shape [M, D], where M is the number of tokens of a frame. W_ue, W_us, W_re and
  W_rs are matrices [D, D], X is a stack of cross-attention blocks and LN a
  layer norm. The state and its update are computed in float32, whatever the
  dtype of the matrix products.

  Attributes:
    width: D, width of the tokens and of the state.
    num_layers: number of blocks in X.
    num_heads: number of attention heads in a block.
    mlp_width: hidden width of the MLP in a block.
    dtype: dtype of the matrix products.
    attention: implementation of attention, see `ops.attention.attend`.
    remat: how much of the forward pass is kept for the backward pass, see
      `stacks.rematerialise`.
    scan_layers: whether the blocks of X run in one loop, see
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

  def setup(self):
    """Makes the gates and X. Attribute names become the parameters' paths."""
    gate = functools.partial(
        nn.Dense,
        self.width,
        use_bias=False,
        dtype=self.dtype,
        kernel_init=layers.XAVIER,
    )
    self.input_update = gate()
    self.input_reset = gate()
    self.state_update = gate()
    self.state_reset = gate()
    self.state_layer_norm = nn.LayerNorm(
        epsilon=1e-4, use_bias=False, dtype=self.dtype
    )
    self.transformer = layers.CrossTransformer(
        self.num_layers,
        self.num_heads,
        self.mlp_width,
        self.dtype,
        self.attention,
        self.remat,
        self.scan_layers,
    )

  def __call__(
      self, tokens: jax.Array, state: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Updates the state with T frames.

    Args:
      tokens: [B, T, M, D], the encoded frames.
      state: float32 [B, M, D], the state before the first frame; zeros at the
        start of a video.

    Returns:
      states: float32 [B, T, M, D], the state after each frame.
      state: float32 [B, M, D], the state after the last frame.
    """
    # W_ue e and W_re e do not depend on the state, so they are computed for all
    # frames at once.
    inputs = tokens, self.input_update(tokens), self.input_reset(tokens)
    scan = nn.scan(
        GatedTransformerCore._step,
        variable_broadcast='params',
        split_rngs={'params': False},
        in_axes=1,
        out_axes=1,
    )
    state, states = scan(self, state, inputs)
    return states, state

  def update_gates(self, tokens: jax.Array, states: jax.Array) -> jax.Array:
    """Returns the update gate u of each frame.

    Args:
      tokens: [B, T, M, D], the encoded frames of a video from its start.
      states: float32 [B, T, M, D], the states that `__call__` returns for them.

    Returns:
      float32 [B, T, M, D] in (0, 1).
    """
    # Before the first frame the state is zero. Before any other frame it is the
    # state after the previous frame.
    before = jnp.pad(states, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]
    return self._update_gate(self.input_update(tokens), before)

  def _update_gate(self, input_update, s):
    """Returns u in float32, given W_ue e and the state before the frame."""
    u = nn.sigmoid(input_update + self.state_update(s))
    return u.astype(jnp.float32)

  def _step(
      self, s: jax.Array, inputs: tuple[jax.Array, jax.Array, jax.Array]
  ) -> tuple[jax.Array, jax.Array]:
    """Updates the state with one frame, in the form that `nn.scan` takes.

    Args:
      s: float32 [B, M, D], the state before the frame.
      inputs: e, W_ue e and W_re e, each [B, M, D].

    Returns:
      The state after the frame, twice: the carry of the scan and its output.
    """
    e, input_update, input_reset = inputs
    u = self._update_gate(input_update, s)
    r = nn.sigmoid(input_reset + self.state_reset(s))
    context = r * self.state_layer_norm(s)
    c = self.transformer(e[:, None], context)[:, 0]
    s = (1 - u) * s + u * c.astype(jnp.float32)
    return s, s
