"""Heads that look for things: where features are plain, they find them."""

import jax
import numpy as np
import pytest

from rvm_jax.evals.readouts import local
from rvm_jax.evals.readouts import matches

SIZE, SIDE, TIME = 16, 4, 5


def test_shares_of_points_and_boxes():
  centre = np.array([[1.5, 2.5], [2.0, 2.5], [0.0, 0.0]]) / SIDE
  shares = np.asarray(matches.share_points(centre, SIDE**2)).reshape(3, 4, 4)
  assert shares[0, 2, 1] == 1 and shares[2, 0, 0] == 1
  assert shares[1, 2, 1] == shares[1, 2, 2] == 0.5
  boxes = np.array([[1, 1, 3, 2], [0.5, 0, 1.5, 1], [5, 5, 6, 6]]) / SIDE
  shares = np.asarray(matches.share_boxes(boxes, SIDE**2)).reshape(3, 4, 4)
  np.testing.assert_allclose(shares[0, 1], [0, 0.5, 0.5, 0], atol=1e-6)
  np.testing.assert_allclose(shares[1, 0], [0.5, 0.5, 0, 0], atol=1e-6)
  assert not shares[2].any()
  np.testing.assert_allclose(shares.sum((1, 2)), [1, 1, 0], atol=1e-6)


def make_walk(batch):
  """Things of one patch that go one patch right each frame, round and round."""
  names = np.eye(SIDE**2, dtype=np.float32).reshape(SIDE, SIDE, -1)
  clip = np.stack([np.roll(names, t, 1) for t in range(TIME)])
  clip = clip.reshape(TIME, SIDE**2, -1)
  return np.repeat(clip[None], batch, 0)


def test_matches_are_where_things_went():
  features = make_walk(1)
  asked = np.eye(SIDE**2, dtype=np.float32)[None]
  finder = matches.Matches()
  params = {'sharpness': np.float32(5), 'nearness': np.full((TIME, 1), -9.0)}
  cues = jax.jit(finder.apply)({'params': params}, features, asked)
  cues = np.asarray(cues)[0]
  cues = cues.reshape(SIDE, SIDE, TIME, 6)
  np.testing.assert_allclose(cues[1, 0, :4, 0], np.arange(4) / 4, atol=1e-4)
  np.testing.assert_allclose(cues[1, 3, 1, :2], [-0.75, 0], atol=1e-4)
  np.testing.assert_allclose(cues[..., 2:4], 0, atol=1e-4)
  np.testing.assert_allclose(cues[..., 4], 1, atol=1e-4)
  still = np.broadcast_to([1, 0, 0, 0, 1], cues.shape[:3])
  np.testing.assert_allclose(cues[..., 5], still, atol=1e-4)


def make_heads():
  return {
      'motion': local.ClassificationHead(8, 8),
      'points': local.PointsHead(8, SIZE),
      'boxes': local.BoxesHead(8, SIZE),
      'depth': local.DepthHead(8, SIZE),
      'pose': local.PoseHead(),
  }


def make_batch():
  rng = np.random.default_rng(0)
  boxes = np.full((2, 3, TIME, 4), np.nan, np.float32)
  boxes[:, 0], boxes[:, 1] = [2, 2, 9, 7], [8, 8, 16, 12]
  boxes[0, 1, 3:] = np.nan
  tracks = rng.uniform(0, SIZE, (2, 4, 1, 2)).repeat(TIME, 2)
  return {
      'label': np.array([3, 5], np.int32),
      'tracks': tracks.astype(np.float32),
      'visible': rng.random((2, 4, TIME)) < 0.7,
      'is_valid': np.array([[1, 1, 1, 1], [1, 1, 0, 1]], bool),
      'boxes': boxes,
      'depth': np.full((2, TIME, SIZE, SIZE), np.exp(1.4), np.float32),
      'pose': np.zeros((2, 12), np.float32) + 0.1,
  }


def start(head, features, batch):
  """A fresh head's parameters, answers, loss and gradient: one program."""

  @jax.jit
  def run(key, features, batch):
    params = head.init(key, features, batch)['params']

    def loss(params):
      outputs = head.apply({'params': params}, features, batch)
      each = head.loss(outputs, batch)
      return each.sum(), (each, head.decode(outputs, batch))

    slopes, (each, found) = jax.grad(loss, has_aux=True)(params)
    return params, each, found, slopes

  return jax.device_get(run(jax.random.key(0), features, batch))


@pytest.mark.parametrize('name', make_heads())
def test_starts_at_the_floor_and_is_trained_by_finite_gradients(name):
  batch = make_batch()
  features = np.random.default_rng(1).normal(size=(2, TIME, SIDE**2, 6))
  _, loss, found, slopes = start(
      make_heads()[name], features.astype(np.float32), batch
  )
  if name == 'points':
    valid = batch['is_valid']
    np.testing.assert_allclose(
        found['tracks'][valid], batch['tracks'][valid], atol=0.1
    )
    assert found['visible'][valid].all()
    np.testing.assert_allclose(found['chance'], 0.88, atol=0.01)
  if name == 'boxes':
    first = batch['boxes'][:, :, :1]
    np.testing.assert_allclose(
        found['boxes'], first.repeat(TIME, 2), atol=1e-4
    )
  if name == 'depth':
    assert 0.5 < np.median(found['depth']) / np.exp(1.4) < 2
  if name == 'pose':
    still = [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    np.testing.assert_allclose(found['pose'], [still, still], atol=1e-6)
  if name == 'motion':
    np.testing.assert_allclose(found['probabilities'], 1 / 8, atol=1e-6)
  assert loss.shape == (2,)
  leaves = jax.tree.leaves(slopes)
  assert all(np.isfinite(leaf).all() for leaf in leaves)
  assert any(np.any(leaf) for leaf in leaves)


def test_depth_is_painted_where_it_is():
  head, batch = local.DepthHead(8, SIZE), make_batch()
  features = np.zeros((2, TIME, SIDE**2, 6), np.float32)
  params, *_ = start(head, features, batch)
  params['dense_out'] = {
      'kernel': np.zeros((8, 16), np.float32),
      'bias': np.arange(16, dtype=np.float32) / 100,
  }
  params['typical'] = np.arange(16, dtype=np.float32)[:, None]
  found = jax.jit(head.apply)({'params': params}, features, batch)
  found = np.asarray(found)[0, 1]
  assert found.shape == (SIZE, SIZE)
  np.testing.assert_allclose(found[5, 10], 4 * 1 + 2 + (4 * 1 + 2) / 100)
  np.testing.assert_allclose(found[15, 0], 12 + 12 / 100, rtol=1e-6)
