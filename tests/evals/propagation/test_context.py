"""Compares the queue and the search of label propagation with plain numpy."""

import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.evals.propagation import context

# The grid has two by two tiles.
HEIGHT, WIDTH, NUM_CONTEXT = 18, 10, 3


def make_features(num_frames):
  # Dot products of small integers are exact, and many of them are equal, which
  # tests the order of ties.
  shape = num_frames, HEIGHT, WIDTH, 3
  return np.random.default_rng(0).integers(-2, 3, shape).astype(np.float32)


def make_settings(**settings):
  defaults = dict(num_context=NUM_CONTEXT, temperature=1.0, top_k=5, radius=4.0)
  return context.Settings(**defaults | settings)


def make_queue(features, settings):
  """Returns the queue after pushing all frames but the last."""
  queue = context.start(jnp.asarray(features[0]), settings)
  for frame, pushed in enumerate(features[:-1]):
    queue = context.push(queue, jnp.asarray(pushed), frame, settings)
  return queue


def search_plainly(features, settings):
  """Searches the context of the last frame by a stable sort of all affinities.

  Returns:
    Affinities and indices, [h * w, top_k] each, from best to worst.
  """
  last, num_patches = len(features) - 1, HEIGHT * WIDTH
  frames = features.reshape(last + 1, num_patches, -1)
  queries = frames[last]
  positions = np.stack(np.mgrid[:HEIGHT, :WIDTH], -1).reshape(-1, 2)
  distances = np.linalg.norm(positions[:, None] - positions, axis=-1)

  # Affinities to the first frame, then to the queue from the oldest frame on;
  # and for each of these frames its position in the flattened context.
  values, indices = [queries @ frames[0].T], [0]
  for frame in range(last - settings.num_context, last):
    affinity = queries @ frames[max(frame, 0)].T
    values.append(np.where(distances < settings.radius, affinity, -np.inf))
    indices.append(1 + frame % settings.num_context)
  values = np.concatenate(values, 1)
  indices = [slot * num_patches + np.arange(num_patches) for slot in indices]
  best = np.argsort(-values, axis=1, kind='stable')[:, : settings.top_k]
  return np.take_along_axis(values, best, 1), np.concatenate(indices)[best]


def check_search(features, settings):
  """Asserts that both searches find the same patches for the last frame."""
  values, indices = context.search(
      jnp.asarray(features[0]),
      make_queue(features, settings),
      jnp.asarray(features[-1]),
      len(features) - 1,
      settings,
  )
  expected_values, expected_indices = search_plainly(features, settings)
  np.testing.assert_array_equal(
      np.sort(indices.reshape(HEIGHT * WIDTH, -1)), np.sort(expected_indices)
  )
  np.testing.assert_array_equal(
      np.sort(values.reshape(HEIGHT * WIDTH, -1)), np.sort(expected_values)
  )


@pytest.mark.parametrize('num_frames', [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize('radius', [1.0, 4.0, 30.0])
def test_search_agrees_with_a_stable_sort_of_all_affinities(num_frames, radius):
  check_search(make_features(num_frames), make_settings(radius=radius))


def test_search_agrees_with_a_stable_sort_when_one_tile_has_all_matches():
  features = make_features(6)
  features[0] = 0
  check_search(features, make_settings())


def test_search_divides_affinities_by_the_temperature():
  features = make_features(1)
  first = jnp.asarray(features[0])
  found = {}
  for temperature in 1.0, 0.5:
    settings = make_settings(temperature=temperature)
    queue = make_queue(features, settings)
    found[temperature], _ = context.search(first, queue, first, 0, settings)
  np.testing.assert_array_equal(found[0.5], 2 * found[1.0])


def test_push_stores_a_frame_in_slot_frame_modulo_num_context():
  features = make_features(6)
  queue = make_queue(features, make_settings())
  assert len(queue) == 4
  # The last frame pushed is number 4. Join the tiles of each slot.
  for slot, frame in enumerate([3, 4, 2]):
    rows = [
        np.concatenate([t[slot] for t in queue[i : i + 2]], 1) for i in (0, 2)
    ]
    np.testing.assert_array_equal(np.concatenate(rows), features[frame])


def test_start_fills_all_slots_with_the_first_frame():
  features = make_features(1)
  for tile in make_queue(features, make_settings()):
    assert tile.shape == (NUM_CONTEXT, 9, 5, 3)
    np.testing.assert_array_equal(tile, np.broadcast_to(tile[0], tile.shape))
