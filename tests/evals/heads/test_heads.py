"""What all heads have in common: interface, masks, and that they learn."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

from rvm_jax.evals.heads import boxes
from rvm_jax.evals.heads import classification
from rvm_jax.evals.heads import depth
from rvm_jax.evals.heads import points

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
}
DECODED = {
    'classification': {'probabilities': (2, 3)},
    'points': {'tracks': (2, 3, FRAMES, 2), 'visible': (2, 3, FRAMES)},
    'boxes': {'boxes': (2, 3, FRAMES, 4)},
    'depth': {'depth': (2, FRAMES, HEIGHT, WIDTH)},
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
  }
  return {
      key: value.astype(np.float32) if value.dtype == float else value
      for key, value in batch.items()
  }


FEATURES = np.random.default_rng(1).normal(size=(2, FRAMES, 4, 6))
FEATURES = FEATURES.astype(np.float32)
OPTIMISER = optax.adam(1e-2)


def draw(name):
  """Some parameters of a head, of no special values."""
  init = functools.partial(HEADS[name].init, jax.random.key(0))
  variables = jax.eval_shape(init, FEATURES, make_batch(0))
  assert set(variables) == {'params'}
  rng = np.random.default_rng(2)
  return jax.tree.map(
      lambda x: rng.normal(0, 0.3, x.shape).astype(x.dtype),
      variables['params'],
  )


class Found(NamedTuple):
  """What a head makes of a batch; `slopes` of the parameters and features."""

  outputs: Any
  loss: Any
  slopes: Any
  decoded: Any


@functools.cache
def compile_step(name):
  """(parameters, optimiser's state, batch) -> (parameters, state), Found."""
  head = HEADS[name]

  @jax.jit
  def step(params, state, batch):
    def total(params, features):
      outputs = head.apply({'params': params}, features, batch)
      loss = head.loss(outputs, batch)
      return loss.sum(), (outputs, loss)

    slopes, (outputs, loss) = jax.grad(total, (0, 1), has_aux=True)(
        params, FEATURES
    )
    decoded = head.decode(outputs, batch)
    updates, state = OPTIMISER.update(slopes[0], state, params)
    params = optax.apply_updates(params, updates)
    return (params, state), Found(outputs, loss, slopes, decoded)

  return step


def run(name, batch):
  params = draw(name)
  return compile_step(name)(params, OPTIMISER.init(params), batch)[1]


@pytest.fixture(params=HEADS)
def name(request):
  return request.param


def test_shapes_and_units(name):
  batch = make_batch(0)
  found = run(name, batch)
  assert found.loss.shape == (2,) and found.loss.dtype == np.float32
  assert {key: x.shape for key, x in found.decoded.items()} == DECODED[name]
  for key, x in found.decoded.items():
    assert x.dtype == batch.get(key, np.float32(0)).dtype


def test_what_does_not_count_changes_nothing(name):
  found, other = run(name, make_batch(0)), run(name, make_batch(np.nan))
  numbers = found.loss, found.slopes
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(numbers))
  assert all(np.any(x) for x in jax.tree.leaves(found.slopes[1]))
  jax.tree.map(
      np.testing.assert_array_equal, numbers, (other.loss, other.slopes)
  )


@pytest.mark.parametrize('masked', ['points', 'boxes', 'depth'])
def test_an_example_without_truths_has_no_loss(masked):
  batch = make_batch(np.nan)
  batch['is_valid'][1] = False
  batch['boxes'][1] = np.nan
  batch['depth'][1] = 0
  found = run(masked, batch)
  assert found.loss[0] > 0 and found.loss[1] == 0
  assert np.any(found.slopes[1][0]) and not np.any(found.slopes[1][1])


def test_asks_with_nothing_but_the_first_frame(name):
  batch = make_batch(0)
  later = {key: np.zeros_like(value) for key, value in batch.items()}
  later['is_valid'] = batch['is_valid']
  for key in ('tracks', 'boxes'):
    later[key][:, :, 0] = batch[key][:, :, 0]
  np.testing.assert_array_equal(
      run(name, later).outputs, run(name, batch).outputs
  )


def test_learns_what_it_is_shown(name):
  """And in the right units: what is decoded comes close to the truths."""
  batch = make_batch(np.nan)
  params = draw(name)
  carry = params, OPTIMISER.init(params)
  losses = []
  for _ in range(300):
    carry, found = compile_step(name)(*carry, batch)
    losses.append(found.loss.mean())
  assert losses[-1] < 0.3 * losses[0]
  decoded = jax.tree.map(np.asarray, found.decoded)
  if name == 'classification':
    assert (decoded['probabilities'].argmax(-1) == batch['label']).all()
  elif name == 'points':
    np.testing.assert_array_equal(decoded['visible'], batch['visible'])
    off = np.abs(decoded['tracks'] - batch['tracks'])[batch['visible']]
    assert off.mean() < 1
  elif name == 'boxes':
    counted = np.isfinite(batch['boxes'])
    assert np.abs(decoded['boxes'] - batch['boxes'])[counted].mean() < 1
  else:
    known = batch['depth'] > 0
    ratio = decoded['depth'][known] / batch['depth'][known]
    assert np.abs(ratio - 1).mean() < 0.3
