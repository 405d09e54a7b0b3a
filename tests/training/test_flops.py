"""The FLOPs by formula are those that XLA counts."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from rvm_jax.models import rvm
from rvm_jax.training import flops
from rvm_jax.training import objectives
from tests import tiny
from tests.training.objectives import tiny_rivals

# So small that an error in one part is a large share of the sum.
SMALL = dict(
    width=256,
    encoder_layers=1,
    encoder_heads=4,
    encoder_mlp=256,
    core_layers=1,
    core_heads=4,
    core_mlp=256,
    decoder_width=128,
    decoder_layers=1,
    decoder_heads=2,
    decoder_mlp=128,
)


@pytest.mark.parametrize(
    'num_source, num_target, num_visible', [(1, 1, 9), (2, 3, 9), (4, 4, 3)]
)
def test_count_agrees_with_xla(
    num_source, num_target, num_visible, monkeypatch
):
  # XLA counts the body of a loop once, so the loop over frames is unrolled.
  scan = functools.partial(nn.scan, unroll=num_source)
  monkeypatch.setattr(nn, 'scan', scan)
  model = rvm.RVM(**SMALL)
  inputs = (
      jnp.zeros((1, num_source, 128, 128, 3)),
      jnp.zeros((1, num_target, 128, 128, 3)),
      jnp.zeros((1, num_target), jnp.int32),
      jnp.tile(jnp.arange(num_visible), (1, num_target, 1)),
  )
  params = jax.eval_shape(model.init, jax.random.key(0), *inputs)

  def forward(params):
    return model.apply(params, *inputs).sum()

  expected = flops.count_training(
      model,
      num_source=num_source,
      num_target=num_target,
      num_patches=64,
      num_visible=num_visible,
  )
  counted, counted_with_gradient = (
      jax.jit(f).lower(params).cost_analysis()['flops']
      for f in (forward, jax.grad(forward))
  )
  # XLA also counts norms and softmax. A gradient with respect to the frames and
  # the first state is not needed.
  assert expected == pytest.approx(3 * counted, rel=0.02)
  assert expected == pytest.approx(counted_with_gradient, rel=0.06)


def test_objective_counts_what_its_config_says():
  config = tiny.get_config()
  objective = objectives.from_config(config)
  assert objective.flops_per_clip == flops.count_training(
      rvm.RVM(**config.model),
      num_source=2,
      num_target=2,
      num_patches=16,
      num_visible=4,
  )


@pytest.mark.parametrize('name', tiny_rivals.NAMES)
def test_count_of_each_objective_agrees_with_xla(name):
  # Wide layers, so that matrix products are nearly all that XLA counts.
  part = 'predictor' if name == 'vjepa' else 'decoder'
  sizes = {'width': 256, 'encoder_mlp': 512, 'encoder_heads': 2}
  sizes |= {f'{part}_width': 128, f'{part}_mlp': 256, f'{part}_heads': 1}
  if name == 'joint':
    sizes |= {'core_mlp': 512, 'core_heads': 2}
  changes = {f'model.{key}': value for key, value in sizes.items()}
  objective = tiny_rivals.make(name, **changes, **{'data.batch_size': 1})
  key = jax.random.key(0)
  params = jax.eval_shape(objective.init, key)
  batch = {
      name: jnp.zeros(x.shape, x.dtype) for name, x in objective.batch.items()
  }
  inputs = objective.sample(key, batch)
  counted = jax.jit(objective.loss).lower(params, *inputs).cost_analysis()
  # The forward pass of V-JEPA's target encoder has no backward pass.
  expected = objective.flops_per_clip
  if name == 'vjepa':
    steps, rows, columns = objective.model.grid
    tokens = steps * rows * columns
    expected += 2 * (
        flops.dense(tokens, 2 * 8 * 8 * 3, 256)
        + flops.transformer(tokens, 256, 1, 512)
    )
  assert expected == pytest.approx(3 * counted['flops'], rel=0.04)
