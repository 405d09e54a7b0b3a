"""Compares label propagation with the released evaluation and plain numpy."""

import collections
import pathlib

import numpy as np
import pytest

from rvm_jax.evals.propagation import label_propagation

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'


@pytest.mark.parametrize('kind', ['', 'pose_'])
def test_propagate_agrees_with_the_released_evaluation(kind):
  golden = np.load(GOLDEN)
  found = label_propagation.propagate(
      golden['features'],
      golden[f'{kind}heatmap'],
      num_context=int(golden['arg_n_context']),
      temperature=float(golden['arg_temperature']),
      top_k=int(golden['arg_topk']),
      radius=int(golden['arg_radius']),
  )
  np.testing.assert_allclose(found, golden[f'{kind}propagated'], atol=1e-6)


def propagate_plainly(
    features, labels, *, num_context, temperature, top_k, radius
):
  """Propagates labels with a full matrix of affinities and a stable sort."""
  _, h, w, _ = features.shape
  positions = np.stack(np.mgrid[:h, :w], -1).reshape(-1, 2)
  is_near = np.square(positions[:, None] - positions).sum(-1) < radius**2
  queue = collections.deque([(features[0], labels)] * num_context, num_context)
  result = []
  for frame in features:
    context = [(features[0], labels), *queue]
    values, votes = [], []
    for position, (context_features, context_labels) in enumerate(context):
      affinity = (
          frame.reshape(h * w, -1) @ context_features.reshape(h * w, -1).T
      )
      affinity = affinity / np.float32(temperature)
      if position > 0:
        affinity = np.where(is_near, affinity, -1e10)
      values.append(affinity)
      votes.append(context_labels.reshape(h * w, -1))
    values, votes = np.concatenate(values, 1), np.concatenate(votes)
    best = np.argsort(-values, axis=1, kind='stable')[:, :top_k]
    values = np.take_along_axis(values, best, 1)
    weights = np.exp(values - values.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    prediction = np.einsum('qk,qkl->ql', weights, votes[best])
    result.append(prediction.reshape(labels.shape))
    queue.append((frame, result[-1]))
  return np.stack(result)


@pytest.mark.parametrize(
    'shape, num_context, top_k, radius',
    [
        # Several tiles side by side.
        ((7, 5, 21, 3), 3, 7, 4),
        # Several tiles below each other.
        ((5, 33, 3, 4), 2, 5, 2.5),
        # top_k exceeds the number of patches in a frame.
        ((6, 2, 2, 3), 4, 7, 20),
        # Only the first frame is searched.
        ((4, 3, 3, 2), 1, 1, 0),
        ((4, 1, 1, 2), 1, 1, 0),
        # top_k is the number of all patches in the context, so that patches
        # beyond the radius are chosen too.
        ((4, 1, 2, 2), 2, 6, 1),
        # The queue wraps around twice.
        ((8, 6, 7, 3), 3, 5, 20),
    ],
)
def test_propagate_agrees_with_plain_numpy_where_affinities_tie(
    shape, num_context, top_k, radius
):
  rng = np.random.default_rng(0)
  # Dot products of small integers are exact, and most of them are equal.
  features = rng.integers(-2, 3, shape).astype(np.float32)
  labels = rng.random((*shape[1:3], 3), np.float32)
  settings = dict(
      num_context=num_context, temperature=0.7, top_k=top_k, radius=radius
  )
  np.testing.assert_allclose(
      label_propagation.propagate(features, labels, **settings),
      propagate_plainly(features, labels, **settings),
      atol=1e-6,
  )


def test_propagate_prefers_the_first_frame_to_its_copies_in_the_queue():
  # There are six kinds of patches, with equal features within a kind. With a
  # top_k of 1, the first patch of a kind in the first frame must be chosen,
  # however far away it is. If rounding made the affinities of the copies in the
  # queue higher, a patch within the radius would be chosen instead.
  rng = np.random.default_rng(0)
  kinds = rng.normal(size=(6, 100)).astype(np.float32)
  kind = rng.integers(0, 6, (30, 55))
  features = label_propagation.normalize(kinds)[kind][None]
  labels = rng.random((30, 55, 2), np.float32)
  found = label_propagation.propagate(
      features, labels, num_context=3, top_k=1, radius=5
  )
  first = np.unique(kind, return_index=True)[1]
  np.testing.assert_array_equal(found[0], labels.reshape(-1, 2)[first[kind]])


def test_propagate_compiles_one_program_for_any_length_and_up_to_four_labels():
  def count_programs(num_frames, num_labels):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(num_frames, 3, 4, 2))
    labels = rng.random((3, 4, num_labels))
    found = label_propagation.propagate(
        features, labels, num_context=2, radius=3
    )
    assert found.shape == (num_frames, 3, 4, num_labels)
    return label_propagation.advance._cache_size()

  num_programs = count_programs(1, 1)
  assert count_programs(4, 2) == count_programs(23, 4) == num_programs
  assert count_programs(4, 5) > num_programs


def test_normalize_gives_unit_length_but_keeps_zero_vectors():
  features = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
  features[0, 0, 0] = 0
  length = np.linalg.norm(label_propagation.normalize(features), axis=-1)
  assert length[0, 0, 0] == 0
  length[0, 0, 0] = 1
  np.testing.assert_allclose(length, 1)


def test_center_removes_a_vector_added_to_all_patches_of_a_frame():
  features = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
  found = label_propagation.center(features)
  np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1)
  offsets = np.random.default_rng(1).normal(size=(2, 1, 1, 5))
  moved = label_propagation.center(features + 9 * offsets)
  np.testing.assert_allclose(moved, found, atol=1e-9)
  assert not label_propagation.center(np.ones((1, 3, 4, 5))).any()


def test_propagate_with_center_frames_equals_propagating_centred_features():
  rng = np.random.default_rng(0)
  # A large vector is added to all patches of the first frame only.
  features = rng.normal(size=(6, 4, 5, 8))
  features[0] += 20
  labels = rng.random((4, 5, 2), np.float32)
  settings = dict(num_context=2, temperature=0.1, radius=3)
  found = label_propagation.propagate(
      features, labels, center_frames=True, **settings
  )
  centred = label_propagation.center(features)
  expected = label_propagation.propagate(centred, labels, **settings)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  plain = label_propagation.propagate(features, labels, **settings)
  assert np.abs(plain - expected).max() > 0.1


@pytest.mark.parametrize(
    'features, labels, settings, message',
    [
        ((3, 4, 5, 2), (4, 4, 2), {}, r'one grid.*\(4, 4, 2\)'),
        ((4, 5, 2), (4, 5, 2), {}, r'\[T, h, w, D\]'),
        ((3, 4, 5, 2), (4, 5, 2), {'num_context': 0}, 'at least 1, got 0'),
        ((3, 1, 2, 2), (1, 2, 2), {'num_context': 1}, r'1\.\.4.*got 7'),
        ((3, 4, 5, 2), (4, 5, 2), {'top_k': 0}, 'top_k.*got 0'),
        ((3, 4, 5, 2), (4, 5, 2), {'temperature': 0}, 'temperature.*got 0'),
    ],
)
def test_propagate_rejects_invalid_shapes_and_settings(
    features, labels, settings, message
):
  with pytest.raises(ValueError, match=message):
    label_propagation.propagate(
        np.zeros(features), np.zeros(labels), **settings
    )
