"""A plain implementation of RVM, which `speed.py` compares `rvm_jax` with.

Everything is float32 and unrolled: one frame after the other, one target after
the other. In each function `p` is the part of the parameter tree of
`rvm_jax.models.rvm.RVM` that the function uses. The README's table of axes
explains the letters in shapes.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rvm_jax.models import decoder
from rvm_jax.ops import masks
from rvm_jax.ops import positions


def norm(p, x, epsilon=1e-6):
  """Applies layer normalisation to x [..., D], with a bias if `p` has one."""
  x = x - x.mean(-1, keepdims=True)
  x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * p['scale']
  return x + p['bias'] if 'bias' in p else x


def dense(p, x):
  """Multiplies x [..., D] by a kernel and adds a bias."""
  return x @ p['kernel'] + p['bias']


def attention(p, x, context):
  """Lets queries x [B, N, D] attend to the M tokens of context [B, M, D]."""

  def project(p, tokens):
    heads = jnp.einsum('bnd,dhk->bhnk', tokens, p['kernel'])
    return heads + p['bias'][:, None]

  q = project(p['query'], x)
  k = project(p['key'], context)
  v = project(p['value'], context)
  # Letters: b batch, h heads, q queries, m keys, k width of a head.
  scores = jnp.einsum('bhqk,bhmk->bhqm', q, k) / np.sqrt(q.shape[-1])
  mixed = jnp.einsum('bhqm,bhmk->bhqk', jax.nn.softmax(scores), v)
  out = jnp.einsum('bhqk,hkd->bqd', mixed, p['out']['kernel'])
  return out + p['out']['bias']


def mlp(p, x):
  """Applies two dense layers to x [..., D], with a GELU between them."""
  x = jax.nn.gelu(dense(p['dense_in'], x), approximate=True)
  return dense(p['dense_out'], x)


def encoder(p, tokens):
  """Puts CLS before the V tokens of a frame and encodes them, [B, 1 + V, D]."""
  cls = jnp.broadcast_to(p['cls_token'], (len(tokens), *p['cls_token'].shape))
  x = jnp.concatenate([cls, tokens], 1)
  for i in range(len(p['encoder']) - 1):
    q = p['encoder'][f'layers_{i}']
    y = norm(q['attention_norm'], x)
    x = x + attention(q['attention'], y, y)
    x = x + mlp(q['mlp'], norm(q['mlp_norm'], x))
  return norm(p['encoder']['LayerNorm_0'], x)


def cross_transformer(p, x, context):
  """Applies blocks of cross-attention, MLP and self-attention to x [B, N, D].

  Cross-attention is to the tokens in context, [B, M, D].
  """
  for i in range(len(p) - 1):
    q = p[f'xa_blocks_{i}']
    y = norm(q['ca_attention_norm'], x)
    x = x + attention(q['ca_attention'], y, context)
    x = x + mlp(q['mlp'], norm(q['mlp_norm'], x))
    y = norm(q['attention_norm'], x)
    x = x + attention(q['attention'], y, y)
  return norm(p['output_norm'], x)


def tokenize(p, frame, patch):
  """Turns frames [B, H, W, 3] into tokens with positions, [B, N, D]."""
  conv = p['tokenizer']['patch_embedding']['Conv_0']
  x = jax.lax.conv_general_dilated(
      frame,
      conv['kernel'][0],
      (patch, patch),
      'VALID',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  rows, columns, width = x.shape[1:]
  x = x.reshape(len(x), rows * columns, width) + conv['bias']
  return x + positions.encoder_table(rows, columns, width)


def encode(p, frames, patch):
  """Encodes frames [B, T, H, W, 3] to a list of T states [B, 1 + N, D]."""
  core, states = p['rnn_core'], []
  for t in range(frames.shape[1]):
    # One step of the recurrent core, a gated recurrent unit (GRU).
    e = encoder(p, tokenize(p, frames[:, t], patch))
    s = states[-1] if states else jnp.zeros_like(e)
    u, r = gate(core, 'update', e, s), gate(core, 'reset', e, s)
    context = r * norm(core['state_layer_norm'], s, 1e-4)
    candidate = cross_transformer(core['transformer'], e, context)
    states.append((1 - u) * s + u * candidate)
  return states


def gate(core, name, e, s):
  """Computes a gate from the tokens e and the state s, all [B, 1 + N, D]."""
  return jax.nn.sigmoid(
      e @ core[f'input_{name}']['kernel'] + s @ core[f'state_{name}']['kernel']
  )


def predict(p, source, target, deltas, visible, patch):
  """Predicts the targets' pixels like `RVM.__call__`.

  Args:
    p: all parameters.
    source: source frames, float [B, T, H, W, 3] in [0, 1].
    target: target frames, float [B, K, H, W, 3] in [0, 1].
    deltas: frames from the first source frame to each target, int [B, K].
    visible: indices of each target's visible patches, int [B, K, V].
    patch: P, side of a patch in pixels.

  Returns:
    Pixels of all patches, float [B, K, H, W, 3].
  """
  states = encode(p, source, patch)
  context = dense(p['decoder_embedder'], jnp.concatenate(states, 1))
  batch, num_targets, height, width, _ = target.shape
  rows = np.arange(batch)[:, None]
  outputs = []
  for k in range(num_targets):
    # The visible patches of the target, encoded, [B, 1 + V, D].
    tokens = tokenize(p, target[:, k], patch)
    shown = encoder(p, tokens[rows, visible[:, k]])
    shown = dense(p['decoder_embedder'], shown)

    # All patches, the hidden ones as mask tokens, with time and position.
    num_patches, size = tokens.shape[1], shown.shape[-1]
    x = jnp.broadcast_to(p['mask_token'], (batch, num_patches, size))
    x = x.at[rows, visible[:, k]].set(shown[:, 1:])
    time = jax.nn.one_hot(deltas[:, k], decoder.NUM_DELTAS)
    x = x + dense(p['delta_embedder'], time)[:, None]
    x = x + positions.sinusoid(num_patches, size)
    x = jnp.concatenate([shown[:, :1], x], 1)

    # Pixels from the decoded patches, [B, H, W, 3].
    x = cross_transformer(p['decoder'], x, context)[:, 1:]
    x = dense(p['detokenizer']['Dense_0'], x)
    h, w = height // patch, width // patch
    x = x.reshape(batch, h, w, patch, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    outputs.append(x.reshape(batch, height, width, 3))
  return jnp.stack(outputs, 1)


def train_step(params, opt_state, step, batch, *, optimizer, mask_ratio, patch):
  """Takes a training step.

  Args:
    params: all parameters.
    opt_state: state of the optimizer.
    step: number of the step, an integer array. It seeds the masks.
    batch: 'source', uint8 [B, T, H, W, 3]; 'target', uint8 [B, K, H, W, 3];
      and 'deltas', int [B, K].
    optimizer: optax transformation.
    mask_ratio: share of the patches of a target that are hidden.
    patch: P, side of a patch in pixels.

  Returns:
    New parameters, new state of the optimizer, step + 1, and the loss.
  """
  source, target = (
      batch[key].astype(jnp.float32) / 255 for key in ('source', 'target')
  )
  batch_size, num_targets, height, width, _ = target.shape
  num_patches = (height // patch) * (width // patch)
  visible = masks.sample_visible(
      jax.random.fold_in(jax.random.key(0), step),
      (batch_size, num_targets),
      num_patches,
      masks.num_visible(num_patches, mask_ratio),
  )

  def compute_loss(p):
    pixels = predict(p, source, target, batch['deltas'], visible, patch)
    return jnp.square(pixels - target).mean()

  loss, gradient = jax.value_and_grad(compute_loss)(params)
  updates, opt_state = optimizer.update(gradient, opt_state, params)
  return optax.apply_updates(params, updates), opt_state, step + 1, loss
