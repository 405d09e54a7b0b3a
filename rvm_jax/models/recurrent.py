"""The recurrent core: a transformer inside the gates of a GRU."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import layers

# Logical axes of the gates' parameters, see `layers`.
PARAMETER_AXES = {
    '/input_update/kernel': ('embed', 'gate'),
    '/input_reset/kernel': ('embed', 'gate'),
    '/state_update/kernel': ('embed', 'gate'),
    '/state_reset/kernel': ('embed', 'gate'),
}


class GatedTransformerCore(nn.Module):
  """Folds tokens, frame by frame, into a state of the tokens' shape.

      update     u = sigmoid(W_ue e + W_us s)
      reset      r = sigmoid(W_re e + W_rs s)
      candidate  c = X(queries e, context r * LN(s))
      state      s' = (1 - u) * s + u * c

  e are a frame's tokens, s the state before it, s' the state after it and the
  features of the frame; X is a stack of cross-attention blocks. The state and
  the blend stay in float32, whatever the dtype of the products.
  """

  width: int
  num_layers: int
  num_heads: int
  mlp_width: int
  dtype: layers.Dtype
  attention: str
  remat: str

  def setup(self):
    gate = lambda: nn.Dense(
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
    )

  def __call__(
      self, tokens: jax.Array, state: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Runs over time.

    Args:
      tokens: [B, T, M, D], the encoded frames.
      state: float32 [B, M, D]; zeros at the start of a video.

    Returns:
      The state after each frame [B, T, M, D] and after the last [B, M, D].
    """
    inputs = (
        tokens,
        self.input_update(tokens),  # W_ue e and W_re e of all frames at once:
        self.input_reset(tokens),  # they do not wait for the state.
    )
    # Unrolled by 4, the paper's number of source frames: no loop in training,
    # whose gradients are summed over devices once and not once a frame.
    scan = nn.scan(
        GatedTransformerCore._step,
        variable_broadcast='params',
        split_rngs={'params': False},
        in_axes=1,
        out_axes=1,
        unroll=4,
    )
    state = nn.with_logical_constraint(state, layers.TOKENS)
    state, states = scan(self, state, inputs)
    return states, state

  def _step(
      self, s: jax.Array, inputs: tuple[jax.Array, jax.Array, jax.Array]
  ) -> tuple[jax.Array, jax.Array]:
    """One frame: s [B, M, D] to s', in the form that `nn.scan` takes."""
    e, input_update, input_reset = inputs
    u = nn.sigmoid(input_update + self.state_update(s))
    r = nn.sigmoid(input_reset + self.state_reset(s))
    context = r * self.state_layer_norm(s)
    c = self.transformer(e[:, None], context)[:, 0]
    u = u.astype(jnp.float32)
    s = (1 - u) * s + u * c.astype(jnp.float32)
    s = nn.with_logical_constraint(s, layers.TOKENS)
    return s, s
