"""What all heads have in common: their interface, masks, and that they learn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rvm_jax.evals.readouts import boxes
from rvm_jax.evals.readouts import classification
from rvm_jax.evals.readouts import depth
from rvm_jax.evals.readouts import points
from rvm_jax.evals.readouts import pose

HEIGHT, WIDTH, FRAMES = 16, 24, 4
SIZES = dict(num_params=16, num_heads=2)
QUERIES = dict(height=HEIGHT, width=WIDTH, query_width=16, num_bases=4)
HEADS = {
    'classification': classification.ClassificationHead(3, **SIZES),
    'points': points.PointsHead(**SIZES, **QUERIES, frames_per_query=2),
    'boxes': boxes.BoxesHead(**SIZES, **QUERIES),
    'depth': depth.DepthHead(
        **SIZES, height=HEIGHT, width=WIDTH, patch=(2, 8, 8), query_chunk=4
    ),
    'pose': pose.PoseHead(**SIZES),
}
DECODED = {
    'classification': {'probabilities': (2, 3)},
    'points': {'tracks': (2, 3, FRAMES, 2), 'visible': (2, 3, FRAMES)},
    'boxes': {'boxes': (2, 3, FRAMES, 4)},
    'depth': {'depth': (2, FRAMES, HEIGHT, WIDTH)},
    'pose': {'pose': (2, 12)},
}


def make_batch(blank):
  """Two examples; what does not count in their truths is `blank`.

  Of three points and three objects, the last of the first example are padding,
  as are all of the second example's but one.
  """
  rng = np.random.default_rng(0)
  is_valid = np.array([[True, True, False], [True, False, False]])
  visible = rng.uniform(size=(2, 3, FRAMES)) > 0.4
  visible[:, :, 0] = True
  tracks = rng.uniform(1, (WIDTH - 1, HEIGHT - 1), (2, 3, FRAMES, 2))
  low = rng.uniform(0, (WIDTH / 2, HEIGHT / 2), (2, 3, FRAMES, 2))
  sides = rng.uniform(4, (WIDTH / 2, HEIGHT / 2), (2, 3, FRAMES, 2))
  seen = visible & is_valid[..., None]
  far = rng.uniform(1, 5, (2, FRAMES, HEIGHT, WIDTH))
  batch = {
      'label': np.array([2, 0], np.int32),
      'tracks': np.where(seen[..., None], tracks, blank),
      'visible': visible & (is_valid[..., None] | (blank == 0)),
      'is_valid': is_valid,
      'boxes': np.where(
          seen[..., None], np.concatenate([low, low + sides], -1), np.nan
      ),
      'depth': np.where(far > 2, far, blank),
      'pose': rng.normal(size=(2, 12)),
  }
  return {
      key: value.astype(np.float32) if value.dtype == float else value
      for key, value in batch.items()
  }


@pytest.fixture(params=HEADS)
def name(request):
  return request.param


@pytest.fixture
def head(name):
  return HEADS[name]


@pytest.fixture(scope='module')
def features():
  shape = 2, FRAMES, 4, 6
  return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def draw(head, features):
  init = functools.partial(head.init, jax.random.key(0))
  rng = np.random.default_rng(2)
  return jax.tree.map(
      lambda x: rng.normal(0, 0.3, x.shape).astype(x.dtype),
      jax.eval_shape(init, features, make_batch(0)),
  )


def test_shapes_and_units(name, head, features):
  batch = make_batch(0)
  variables = draw(head, features)
  assert set(variables) == {'params'}

  def run(variables):
    outputs = head.apply(variables, features, batch)
    return head.loss(outputs, batch), head.decode(outputs, batch)

  loss, decoded = jax.eval_shape(run, variables)
  assert loss.shape == (2,) and loss.dtype == np.float32
  assert {key: x.shape for key, x in decoded.items()} == DECODED[name]
  for key, x in decoded.items():
    assert x.dtype == batch.get(key, np.float32(0)).dtype


def test_what_does_not_count_changes_nothing(head, features):
  @jax.jit
  def run(variables, batch):
    def total(variables, features):
      outputs = head.apply(variables, features, batch)
      return head.loss(outputs, batch).sum(), outputs

    return jax.value_and_grad(total, (0, 1), has_aux=True)(variables, features)

  variables = draw(head, features)
  (loss, _), slopes = run(variables, make_batch(0))
  assert all(np.isfinite(x).all() for x in jax.tree.leaves((loss, slopes)))
  assert any(np.any(x) for x in jax.tree.leaves(slopes))
  (other, _), other_slopes = run(variables, make_batch(np.nan))
  jax.tree.map(np.testing.assert_array_equal, (loss, slopes),
               (other, other_slopes))


def test_without_any_truth_the_loss_is_zero(name, features):
  if name in ('classification', 'pose'):
    return  # These have no mask.
  head, batch = HEADS[name], make_batch(np.nan)
  batch['is_valid'][1] = False
  batch['boxes'][1] = np.nan
  batch['depth'][1] = 0

  @jax.jit
  def run(variables):
    outputs = head.apply(variables, features, batch)
    return head.loss(outputs, batch), jax.grad(
        lambda x: head.loss(x, batch)[1]
    )(outputs)

  loss, slope = run(draw(head, features))
  assert loss[0] > 0 and loss[1] == 0
  assert not np.any(slope)


def test_asks_with_nothing_but_the_first_frame(head, features):
  batch = make_batch(0)
  later = dict(batch)
  for key in ('tracks', 'boxes'):
    later[key] = batch[key].copy()
    later[key][:, :, 1:] = 7
  for key in ('label', 'depth', 'pose', 'visible'):
    later[key] = np.zeros_like(batch[key])
  apply = jax.jit(head.apply)
  variables = draw(head, features)
  np.testing.assert_array_equal(
      apply(variables, features, later), apply(variables, features, batch)
  )


def test_learns_what_it_is_shown(name, head, features):
  """And in the right units: what is decoded comes close to the truths."""
  batch = make_batch(np.nan)
  optimiser = optax.adam(1e-2)

  def loss(params):
    outputs = head.apply({'params': params}, features, batch)
    return head.loss(outputs, batch).mean()

  @jax.jit
  def run(params):
    def step(carry, _):
      params, state = carry
      value, slope = jax.value_and_grad(loss)(params)
      updates, state = optimiser.update(slope, state, params)
      return (optax.apply_updates(params, updates), state), value

    carry, values = jax.lax.scan(
        step, (params, optimiser.init(params)), length=300
    )
    outputs = head.apply({'params': carry[0]}, features, batch)
    return values, head.decode(outputs, batch)

  values, decoded = run(draw(head, features)['params'])
  assert np.isfinite(values).all()
  assert values[-1] < 0.3 * values[0]
  decoded = jax.tree.map(np.asarray, decoded)
  seen = batch['visible']
  if name == 'classification':
    assert (decoded['probabilities'].argmax(-1) == batch['label']).all()
  elif name == 'points':
    np.testing.assert_array_equal(decoded['visible'], seen)
    off = np.abs(decoded['tracks'] - batch['tracks'])[seen]
    assert off.mean() < 1
  elif name == 'boxes':
    counted = np.isfinite(batch['boxes'])
    assert np.abs(decoded['boxes'] - batch['boxes'])[counted].mean() < 1
  elif name == 'depth':
    counted = batch['depth'] > 0
    off = np.abs(decoded['depth'] / batch['depth'] - 1)[counted]
    assert off.mean() < 0.3
  else:
    np.testing.assert_allclose(decoded['pose'], batch['pose'], atol=0.1)
