"""Tests the contract of all heads: interface, masks, and that they learn."""

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
  """Returns two examples with three points and three objects each.

  Two points and objects of the first example and one of the second are valid;
  the others are padding.

  Args:
    blank: value of the ground truth's entries that do not count.
  """
  rng = np.random.default_rng(0)
  is_valid = np.array([[True, True, False], [True, False, False]])
  visible = rng.uniform(size=(2, 3, FRAMES)) > 0.4
  visible[:, :, 0] = True
  tracks = rng.uniform(1, (WIDTH - 1, HEIGHT - 1), (2, 3, FRAMES, 2))
  low = rng.uniform(0, (WIDTH / 2, HEIGHT / 2), (2, 3, FRAMES, 2))
  sides = rng.uniform(4, (WIDTH / 2, HEIGHT / 2), (2, 3, FRAMES, 2))
  is_counted = visible & is_valid[..., None]
  depth_map = rng.uniform(1, 5, (2, FRAMES, HEIGHT, WIDTH))
  batch = {
      'label': np.array([2, 0], np.int32),
      'tracks': np.where(is_counted[..., None], tracks, blank),
      'visible': visible & (is_valid[..., None] | (blank == 0)),
      'is_valid': is_valid,
      'boxes': np.where(
          is_counted[..., None], np.concatenate([low, low + sides], -1), np.nan
      ),
      'depth': np.where(depth_map > 2, depth_map, blank),
  }
  return {
      key: value.astype(np.float32) if value.dtype == float else value
      for key, value in batch.items()
  }


FEATURES = np.random.default_rng(1).normal(size=(2, FRAMES, 4, 6))
FEATURES = FEATURES.astype(np.float32)
OPTIMISER = optax.adam(1e-2)


def sample_params(name):
  """Samples parameters of a head, so that none has a special value."""
  init = functools.partial(HEADS[name].init, jax.random.key(0))
  variables = jax.eval_shape(init, FEATURES, make_batch(0))
  assert set(variables) == {'params'}
  rng = np.random.default_rng(2)
  return jax.tree.map(
      lambda x: rng.normal(0, 0.3, x.shape).astype(x.dtype),
      variables['params'],
  )


class Found(NamedTuple):
  """What a head computes for a batch.

  Attributes:
    outputs: outputs of the head.
    loss: loss of each example.
    gradients: gradients of the summed loss by parameters and by features.
    decoded: the predictions.
  """

  outputs: Any
  loss: Any
  gradients: Any
  decoded: Any


@functools.cache
def compile_step(name):
  """Returns a training step of a head.

  The step maps (parameters, optimiser's state, batch) to (parameters, state)
  and what the head found before the update.
  """
  head = HEADS[name]

  @jax.jit
  def step(params, state, batch):
    def total(params, features):
      outputs = head.apply({'params': params}, features, batch)
      loss = head.loss(outputs, batch)
      return loss.sum(), (outputs, loss)

    gradients, (outputs, loss) = jax.grad(total, (0, 1), has_aux=True)(
        params, FEATURES
    )
    decoded = head.decode(outputs, batch)
    updates, state = OPTIMISER.update(gradients[0], state, params)
    params = optax.apply_updates(params, updates)
    return (params, state), Found(outputs, loss, gradients, decoded)

  return step


def run(name, batch):
  params = sample_params(name)
  return compile_step(name)(params, OPTIMISER.init(params), batch)[1]


@pytest.fixture(params=HEADS)
def name(request):
  return request.param


def test_head_has_the_shapes_and_dtypes_of_the_contract(name):
  batch = make_batch(0)
  found = run(name, batch)
  assert found.loss.shape == (2,) and found.loss.dtype == np.float32
  assert {key: x.shape for key, x in found.decoded.items()} == DECODED[name]
  for key, x in found.decoded.items():
    assert x.dtype == batch.get(key, np.float32(0)).dtype


def test_head_reads_exactly_its_ground_truth_keys(name):
  head = HEADS[name]

  def trace(features, batch):
    outputs, _ = head.init_with_output(jax.random.key(0), features, batch)
    return head.loss(outputs, batch), head.decode(outputs, batch)

  batch = {key: make_batch(0)[key] for key in head.ground_truth_keys}
  jax.eval_shape(trace, FEATURES, batch)
  for key in batch:
    others = {other: batch[other] for other in batch if other != key}
    with pytest.raises(KeyError, match=key):
      jax.eval_shape(trace, FEATURES, others)


def test_entries_that_do_not_count_change_neither_loss_nor_gradient(name):
  found, other = run(name, make_batch(0)), run(name, make_batch(np.nan))
  numbers = found.loss, found.gradients
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(numbers))
  assert all(np.any(x) for x in jax.tree.leaves(found.gradients[1]))
  jax.tree.map(
      np.testing.assert_array_equal, numbers, (other.loss, other.gradients)
  )


@pytest.mark.parametrize('masked', ['points', 'boxes', 'depth'])
def test_an_example_without_ground_truth_has_the_loss_0(masked):
  batch = make_batch(np.nan)
  batch['is_valid'][1] = False
  batch['boxes'][1] = np.nan
  batch['depth'][1] = 0
  found = run(masked, batch)
  assert found.loss[0] > 0 and found.loss[1] == 0
  assert np.any(found.gradients[1][0]) and not np.any(found.gradients[1][1])


def test_outputs_depend_on_the_queries_in_frame_0_alone(name):
  batch = make_batch(0)
  later = {key: np.zeros_like(value) for key, value in batch.items()}
  later['is_valid'] = batch['is_valid']
  for key in ('tracks', 'boxes'):
    later[key][:, :, 0] = batch[key][:, :, 0]
  np.testing.assert_array_equal(
      run(name, later).outputs, run(name, batch).outputs
  )


def test_head_learns_two_examples_and_decodes_them_in_their_units(name):
  batch = make_batch(np.nan)
  params = sample_params(name)
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
    error = np.abs(decoded['tracks'] - batch['tracks'])[batch['visible']]
    assert error.mean() < 1
  elif name == 'boxes':
    is_box = np.isfinite(batch['boxes'])
    assert np.abs(decoded['boxes'] - batch['boxes'])[is_box].mean() < 1
  else:
    known = batch['depth'] > 0
    ratio = decoded['depth'][known] / batch['depth'][known]
    assert np.abs(ratio - 1).mean() < 0.3
