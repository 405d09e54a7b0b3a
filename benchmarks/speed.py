"""Forward pass and train step, against a plain implementation of the same.

  python benchmarks/speed.py --size S --batch 2
  python benchmarks/speed.py --size L --batch 64 --remat dots \
      --dtype bfloat16 --attention cudnn --peak 989e12

`plain_*` below is RVM written down directly: float32, one frame after the
other, one target after the other, everything unrolled. Both run on the same
parameters and the same batch, taking turns; what is printed are medians. With
--peak (FLOP/s of the device, from its data sheet) the utilisation is printed
too: `train_flops` says what is counted.
"""

import argparse
import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rvm_jax.models import rvm
from rvm_jax.ops import images
from rvm_jax.ops import masks
from rvm_jax.ops import positions
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import step as step_lib
from rvm_jax.training.objectives import pretraining

NUM_SOURCE = NUM_TARGET = 4
MASK_RATIO = 0.95


# --- The plain implementation ----------------------------------------------


def plain_norm(p, x, epsilon=1e-6):
  x = x - x.mean(-1, keepdims=True)
  x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * p['scale']
  return x + p['bias'] if 'bias' in p else x


def plain_attention(p, x, context):
  project = lambda q, y: jnp.einsum('bnd,dhk->bhnk', y, q['kernel']) + (
      q['bias'][:, None]
  )
  q, k, v = (
      project(p['query'], x),
      project(p['key'], context),
      project(p['value'], context),
  )
  scores = jnp.einsum('bhqk,bhmk->bhqm', q, k) / np.sqrt(q.shape[-1])
  mixed = jnp.einsum('bhqm,bhmk->bhqk', jax.nn.softmax(scores), v)
  return jnp.einsum('bhqk,hkd->bqd', mixed, p['out']['kernel']) + (
      p['out']['bias']
  )


def plain_mlp(p, x):
  x = x @ p['dense_in']['kernel'] + p['dense_in']['bias']
  x = jax.nn.gelu(x, approximate=True)
  return x @ p['dense_out']['kernel'] + p['dense_out']['bias']


def plain_encoder(p, tokens):
  cls = jnp.broadcast_to(p['cls_token'], (len(tokens), *p['cls_token'].shape))
  x = jnp.concatenate([cls, tokens], 1)
  for i in range(len(p['encoder']) - 1):
    q = p['encoder'][f'layers_{i}']
    y = plain_norm(q['attention_norm'], x)
    x = x + plain_attention(q['attention'], y, y)
    x = x + plain_mlp(q['mlp'], plain_norm(q['mlp_norm'], x))
  return plain_norm(p['encoder']['LayerNorm_0'], x)


def plain_cross(p, x, context):
  for i in range(len(p) - 1):
    q = p[f'xa_blocks_{i}']
    y = plain_norm(q['ca_attention_norm'], x)
    x = x + plain_attention(q['ca_attention'], y, context)
    x = x + plain_mlp(q['mlp'], plain_norm(q['mlp_norm'], x))
    y = plain_norm(q['attention_norm'], x)
    x = x + plain_attention(q['attention'], y, y)
  return plain_norm(p['output_norm'], x)


def plain_tokens(p, frame, patch):
  """[B, H, W, 3] to [B, N, D], with positions."""
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


def plain_encode(p, frames, patch):
  """[B, T, H, W, 3] to a list of T states [B, 1 + N, D]."""
  core, states, s = p['rnn_core'], [], 0.0
  for t in range(frames.shape[1]):
    e = plain_encoder(p, plain_tokens(p, frames[:, t], patch))
    s = jnp.zeros_like(e) if t == 0 else s
    gate = lambda name: jax.nn.sigmoid(
        e @ core[f'input_{name}']['kernel']
        + s @ core[f'state_{name}']['kernel']
    )
    u, r = gate('update'), gate('reset')
    context = r * plain_norm(core['state_layer_norm'], s, 1e-4)
    s = (1 - u) * s + u * plain_cross(core['transformer'], e, context)
    states.append(s)
  return states


def plain_rvm(p, source, target, deltas, visible, patch):
  """[B, K, H, W, 3], as `RVM.__call__`."""
  states = plain_encode(p, source, patch)
  embed = lambda x: x @ p['decoder_embedder']['kernel'] + (
      p['decoder_embedder']['bias']
  )
  context = embed(jnp.concatenate(states, 1))
  batch, num_targets, height, width, _ = target.shape
  rows = np.arange(batch)[:, None]
  outputs = []
  for k in range(num_targets):
    tokens = plain_tokens(p, target[:, k], patch)
    shown = embed(plain_encoder(p, tokens[rows, visible[:, k]]))
    num_patches, size = tokens.shape[1], shown.shape[-1]
    x = jnp.broadcast_to(p['mask_token'], (batch, num_patches, size))
    x = x.at[rows, visible[:, k]].set(shown[:, 1:])
    when = jax.nn.one_hot(deltas[:, k], rvm.NUM_DELTAS)
    when = when @ p['delta_embedder']['kernel'] + p['delta_embedder']['bias']
    x = x + when[:, None] + positions.sinusoid(num_patches, size)
    x = jnp.concatenate([shown[:, :1], x], 1)
    x = plain_cross(p['decoder'], x, context)[:, 1:]
    head = p['detokenizer']['Dense_0']
    x = x @ head['kernel'] + head['bias']
    h, w = height // patch, width // patch
    x = x.reshape(batch, h, w, patch, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    outputs.append(x.reshape(batch, height, width, 3))
  return jnp.stack(outputs, 1)


def plain_step(params, opt_state, step, batch, *, optimizer, patch):
  target = images.to_float(batch['target'])
  batch_size, num_targets, height, width, _ = target.shape
  num_patches = (height // patch) * (width // patch)
  visible = masks.sample_visible(
      jax.random.fold_in(jax.random.key(0), step),
      (batch_size, num_targets),
      num_patches,
      masks.num_visible(num_patches, MASK_RATIO),
  )

  def loss(p):
    source = images.to_float(batch['source'])
    pixels = plain_rvm(p, source, target, batch['deltas'], visible, patch)
    return jnp.square(pixels - target).mean()

  value, gradient = jax.value_and_grad(loss)(params)
  updates, opt_state = optimizer.update(gradient, opt_state, params)
  return optax.apply_updates(params, updates), opt_state, step + 1, value


# --- Counting ----------------------------------------------------------------


def train_flops(model: rvm.RVM, num_patches: int, num_visible: int) -> float:
  """FLOPs of a train step for one clip: three forward passes' worth.

  Counted are the matrix products alone, two FLOPs for a multiply and add:
    attention of q queries over m tokens, width D: 4 q D^2 + 4 m D^2 + 4 q m D
    MLP of hidden width M over q tokens: 4 q D M
  and the gates' 8 q D^2 a frame, patch embeddings and the last dense layer.
  What rematerialisation computes again is not counted.
  """
  attention = lambda q, m, d: 4 * q * d**2 + 4 * m * d**2 + 4 * q * m * d
  mlp = lambda q, d, hidden: 4 * q * d * hidden
  d, w = model.width, model.decoder_width
  n, v = 1 + num_patches, 1 + num_visible
  pixels = 3 * model.patch**2

  def encoder(q):
    block = attention(q, q, d) + mlp(q, d, model.encoder_mlp)
    return 2 * (q - 1) * pixels * d + model.encoder_layers * block

  core = 8 * n * d**2 + model.core_layers * (
      2 * attention(n, n, d) + mlp(n, d, model.core_mlp)
  )
  context = NUM_SOURCE * n
  queries = NUM_TARGET * n
  decoder = model.decoder_layers * (
      attention(queries, context, w)  # Keys and values are shared by targets.
      + NUM_TARGET * attention(n, n, w)
      + mlp(queries, w, model.decoder_mlp)
  )
  embedding = 2 * (context + NUM_TARGET * v) * d * w
  head = 2 * NUM_TARGET * num_patches * w * pixels
  forward = (
      NUM_SOURCE * (encoder(n) + core)
      + NUM_TARGET * encoder(v)
      + embedding
      + decoder
      + head
  )
  return 3.0 * forward


# --- Measuring ----------------------------------------------------------------


def take_turns(calls, repeats):
  """Median seconds of each call, after one that compiles."""
  times = {name: [] for name in calls}
  for turn in range(repeats + 1):
    for name, call in calls.items():
      start = time.perf_counter()
      jax.block_until_ready(call())
      if turn:
        times[name].append(time.perf_counter() - start)
  return {name: statistics.median(values) for name, values in times.items()}


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--size', default='S', choices=sorted(rvm.SIZES))
  parser.add_argument('--batch', type=int, default=2, help='clips in a step')
  parser.add_argument('--pixels', type=int, default=256, help='side of a frame')
  parser.add_argument('--dtype', default='float32')
  parser.add_argument('--attention', default='xla')
  parser.add_argument('--remat', default='none')
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--peak', type=float, help='FLOP/s of the device')
  parser.add_argument(
      '--only_ours', action='store_true', help='leave the plain one out'
  )
  args = parser.parse_args()

  model = rvm.RVM(
      **rvm.SIZES[args.size],
      dtype=args.dtype,
      attention=args.attention,
      remat=args.remat,
  )
  patch, side = model.patch, args.pixels
  num_patches = (side // patch) ** 2
  num_visible = masks.num_visible(num_patches, MASK_RATIO)
  rng = np.random.default_rng(0)
  frames = lambda n: rng.integers(
      0, 256, (args.batch, n, side, side, 3), np.uint8
  )
  batch = {
      'source': frames(NUM_SOURCE),
      'target': frames(NUM_TARGET),
      'deltas': rng.integers(7, 52, (args.batch, NUM_TARGET), np.int32),
  }
  optimizer, _ = optimizer_lib.make_optimizer(
      num_steps=100,
      learning_rate=1e-4,
      warmup_steps=10,
      final_learning_rate=0.0,
      weight_decay=0.05,
      core_weight_decay=None,
      beta1=0.9,
      beta2=0.95,
      clip_norm=1.0,
  )
  mesh = mesh_lib.make_mesh(1)
  init, ours = step_lib.make(
      pretraining.Pretraining(model, batch, MASK_RATIO),
      optimizer,
      mesh,
      num_microbatches=1,
  )
  state = init(0)
  copy = lambda tree: jax.tree.map(jnp.copy, tree)
  params = copy(state.params)
  plain_state = (copy(params), optimizer.init(params), jnp.zeros((), jnp.int32))
  on_device = mesh_lib.to_devices(batch, mesh)

  plain = jax.jit(
      functools.partial(plain_step, optimizer=optimizer, patch=patch),
      donate_argnums=(0, 1, 2),
  )
  source = images.to_float(jnp.asarray(batch['source']))
  encode = jax.jit(
      lambda p, x: model.apply({'params': p}, x, method='encode')[0]
  )
  plain_features = jax.jit(lambda p, x: jnp.stack(plain_encode(p, x, patch), 1))
  difference = abs(
      encode(params, source) - plain_features(params, source)
  ).max()

  losses = {}

  def our_step():
    nonlocal state
    state, metrics = ours(state, on_device)
    losses['ours'] = metrics['loss']
    return metrics

  def their_step():
    nonlocal plain_state
    *plain_state, losses['plain'] = plain(*plain_state, on_device)
    return losses['plain']

  device = jax.devices()[0]
  print(
      f'{device.device_kind} x {jax.device_count()}, jax {jax.__version__},'
      f' RVM-{args.size}, batch {args.batch}, {side} x {side} pixels,'
      f' {args.dtype}, attention {args.attention}, remat {args.remat}'
  )
  print(f'largest difference of the features: {difference:.1e}')
  for name, calls in (
      (
          'forward (encode)',
          {
              'ours': lambda: encode(params, source),
              'plain': lambda: plain_features(params, source),
          },
      ),
      ('train step', {'ours': our_step, 'plain': their_step}),
  ):
    if args.only_ours:
      del calls['plain']
    with jax.set_mesh(mesh):
      seconds = take_turns(calls, args.repeats)
    line = f'{name:17s} ours {1e3 * seconds["ours"]:9.1f} ms'
    if 'plain' in seconds:
      line += (
          f'  plain {1e3 * seconds["plain"]:9.1f} ms'
          f'  {seconds["plain"] / seconds["ours"]:.2f} times as fast'
      )
    print(line)
  clip_flops = train_flops(model, num_patches, num_visible)
  rate = clip_flops * args.batch / seconds['ours']
  print(
      f'losses {({k: round(float(x), 5) for k, x in losses.items()})};'
      f' {clip_flops / 1e9:.1f} GFLOP a clip,'
      f' {args.batch / seconds["ours"]:.2f} clips/s, {rate / 1e12:.3f} TFLOP/s'
  )
  if args.peak:
    print(f'utilisation {rate / args.peak / jax.device_count():.1%}')


if __name__ == '__main__':
  main()
