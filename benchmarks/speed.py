r"""Measures a forward pass and a train step against a plain implementation.

  python benchmarks/speed.py --size S --batch 2
  python benchmarks/speed.py --size L --batch 64 --remat dots \
      --dtype bfloat16 --attention cudnn --peak 989e12

The plain implementation is `plain_rvm.py`. Both get the same parameters and the
same batch of random frames and take turns; medians are printed. --peak is the
number of FLOP/s in the data sheet of the device. With it the utilisation is
printed too; `rvm_jax.training.flops` says which FLOPs are counted.
"""

import argparse
import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import plain_rvm

from rvm_jax.models import rvm
from rvm_jax.ops import masks
from rvm_jax.training import flops
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import step as step_lib
from rvm_jax.training.objectives import pretraining

NUM_SOURCE = NUM_TARGET = 4
MASK_RATIO = 0.95


def take_turns(calls, repeats):
  """Measures functions that are called in turns.

  Args:
    calls: functions without arguments, by name.
    repeats: how often each function is timed, after one call that compiles it.

  Returns:
    The median seconds of a call, by name.
  """
  times = {name: [] for name in calls}
  for turn in range(repeats + 1):
    for name, call in calls.items():
      start = time.perf_counter()
      jax.block_until_ready(call())
      if turn:
        times[name].append(time.perf_counter() - start)
  return {name: statistics.median(values) for name, values in times.items()}


def make_batch(batch_size: int, side: int) -> dict[str, np.ndarray]:
  """Returns a batch of random frames of `side` x `side` pixels."""
  rng = np.random.default_rng(0)
  shape = side, side, 3
  return {
      'source': rng.integers(
          0, 256, (batch_size, NUM_SOURCE, *shape), np.uint8
      ),
      'target': rng.integers(
          0, 256, (batch_size, NUM_TARGET, *shape), np.uint8
      ),
      'deltas': rng.integers(7, 52, (batch_size, NUM_TARGET), np.int32),
  }


def make_forward_calls(model, params, batch):
  """Returns functions that encode the source frames, by implementation.

  Prints the largest difference between their features.
  """
  source = jnp.asarray(batch['source'], jnp.float32) / 255

  @jax.jit
  def encode(p, x):
    return model.apply({'params': p}, x, method='encode')[0]

  @jax.jit
  def encode_plainly(p, x):
    return jnp.stack(plain_rvm.encode(p, x, model.patch), 1)

  difference = abs(encode(params, source) - encode_plainly(params, source))
  print(f'largest difference of the features: {difference.max():.1e}')
  return {
      'ours': lambda: encode(params, source),
      'plain': lambda: encode_plainly(params, source),
  }


def make_step_calls(step, state, optimizer, batch, patch):
  """Returns functions that take a training step, by implementation.

  Also returns a dict into which they write their latest losses.
  """
  params = jax.tree.map(jnp.copy, state.params)
  plain_state = params, optimizer.init(params), jnp.zeros((), jnp.int32)
  plain_step = jax.jit(
      functools.partial(
          plain_rvm.train_step,
          optimizer=optimizer,
          mask_ratio=MASK_RATIO,
          patch=patch,
      ),
      donate_argnums=(0, 1, 2),
  )
  losses = {}

  def take_our_step():
    nonlocal state
    state, metrics = step(state, batch)
    losses['ours'] = metrics['loss']
    return metrics

  def take_plain_step():
    nonlocal plain_state
    *plain_state, losses['plain'] = plain_step(*plain_state, batch)
    return losses['plain']

  return {'ours': take_our_step, 'plain': take_plain_step}, losses


def make_parser() -> argparse.ArgumentParser:
  """Returns the parser of the command line."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--size', default='S', choices=sorted(rvm.SIZES))
  parser.add_argument('--batch', type=int, default=2, help='clips in a step')
  parser.add_argument('--pixels', type=int, default=256, help='side of a frame')
  # Attributes of `rvm.RVM`; the plain implementation has none of them.
  parser.add_argument('--dtype', default='float32')
  parser.add_argument('--attention', default='xla')
  parser.add_argument('--remat', default='none')
  parser.add_argument('--repeats', type=int, default=5, help='timed calls')
  parser.add_argument('--peak', type=float, help='FLOP/s of the device')
  parser.add_argument(
      '--only_ours',
      action='store_true',
      help='do not time the plain implementation',
  )
  return parser


def main():
  """Measures with the settings of the command line and prints the results."""
  args = make_parser().parse_args()
  model = rvm.RVM(
      **rvm.SIZES[args.size],
      dtype=args.dtype,
      attention=args.attention,
      remat=args.remat,
  )
  batch = make_batch(args.batch, args.pixels)
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
  init, step = step_lib.make(
      pretraining.Pretraining(model, batch, MASK_RATIO),
      optimizer,
      mesh,
      num_microbatches=1,
  )
  state = init(0)
  # Steps donate their state, so the forward pass gets parameters of its own.
  params = jax.tree.map(jnp.copy, state.params)

  print(
      f'{jax.devices()[0].device_kind} x {jax.device_count()},'
      f' jax {jax.__version__}, RVM-{args.size}, batch {args.batch},'
      f' {args.pixels} x {args.pixels} pixels, {args.dtype},'
      f' attention {args.attention}, remat {args.remat}'
  )
  forward_calls = make_forward_calls(model, params, batch)
  step_calls, losses = make_step_calls(
      step, state, optimizer, mesh_lib.to_devices(batch, mesh), model.patch
  )
  for name, calls in (
      ('forward (encode)', forward_calls),
      ('train step', step_calls),
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
  num_patches = (args.pixels // model.patch) ** 2
  clip_flops = flops.count_training(
      model,
      num_source=NUM_SOURCE,
      num_target=NUM_TARGET,
      num_patches=num_patches,
      num_visible=masks.num_visible(num_patches, MASK_RATIO),
  )
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
