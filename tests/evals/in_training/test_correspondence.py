"""Tests the scores that say whether features and attention follow things."""

import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.in_training import correspondence
from rvm_jax.ops import patches
from rvm_jax.training import protocols
from tests import tiny

RNG = np.random.default_rng(0)
SHAPE = (64, 3, 5, 4)  # [S, h, w, D]


def test_explain_by_position_gives_the_share_of_variance():
  explain = correspondence.explain_by_position
  place = np.broadcast_to(RNG.normal(size=SHAPE[1:]), SHAPE)
  content = RNG.normal(size=SHAPE)
  assert explain(place) == pytest.approx(1)
  assert explain(content) == pytest.approx(1 / 64, rel=0.3)
  # The variances of place and content are 4 and 1.
  assert explain(2 * place + content) == pytest.approx(0.8, abs=0.05)
  assert explain(7 * content + 30) == pytest.approx(explain(content))
  assert explain(np.zeros(SHAPE)) == 0


def test_attention_is_summed_over_hidden_points_that_have_moved():
  # Two layers, one target of 4 patches, 2 source frames.
  weights = RNG.dirichlet(np.ones(8), (1, 2, 1, 4)).reshape(1, 2, 1, 4, 2, 4)
  places = np.array(
      [
          [0, 1, 2],  # Selected: moves from patch 0 through 1 to 2.
          [2, 1, 2],  # In the first frame it is in the target's patch.
          [0, -1, 2],  # It is hidden in the second frame.
          [0, 1, 3],  # Its patch of the target is visible to the model.
          [3, 3, 0],  # Selected.
      ]
  )
  found = correspondence.sum_attention(weights, np.array([[[3]]]), places[None])
  row = weights[0, :, 0]
  expected = [
      [
          [x[2, 0, 0] + x[2, 1, 1], x[2, 0, 2] + x[2, 1, 2]],
          [x[0, 0, 3] + x[0, 1, 3], x[0, 0, 0] + x[0, 1, 0]],
      ]
      for x in row
  ]
  np.testing.assert_allclose(found, np.swapaxes(expected, 0, 1))


def test_average_chooses_the_layer_that_attends_most_to_the_source():
  sums = np.array([[[0.1, 0.9], [0.3, 0.2]], [[0.2, 0.7], [0.5, 0.4]]])
  assert correspondence.average(sums) == pytest.approx((0.4, 0.3))
  assert correspondence.average(np.zeros((0, 2, 2))) is None


def test_generate_gives_frames_gaps_and_the_patch_of_each_point():
  data = tiny.get_config().data.to_dict() | {'width': 48}
  least, most = (
      correspondence.generate(index, 2, data, patch=8) for index in (0, 1)
  )
  assert least.delta == 1 + data['min_gap']
  assert most.delta == 1 + data['max_gap']
  assert least.frames.shape == (3, 32, 48, 3)
  scene = source_lib.generate(
      source_lib.Scenes(2, 32, 48, split='held_out').scene_seed(1),
      height=32,
      width=48,
      frames=[0, 1, most.delta],
      track_frame=most.delta,
  )
  np.testing.assert_array_equal(most.frames, scene.frames)
  for point, track in enumerate(scene.tracks):
    for frame, (x, y) in enumerate(track):
      if scene.visible[point, frame]:
        assert most.places[point, frame] == y // 8 * 6 + x // 8
      else:
        assert most.places[point, frame] == -1
  assert (most.places[:, -1] >= 0).all()


class Pixels:
  """An objective without attention, whose features are pixels."""

  patch = 8

  def encode(self, params, frames):
    grid = patches.grid(*frames.shape[2:4], self.patch)
    features = patches.patchify(frames / 255, self.patch) * params
    return features.reshape(*frames.shape[:2], *grid, -1)


class Uniform(Pixels):
  """An objective whose two decoder layers attend to all patches alike."""

  def attend(self, params, batch, rng):
    assert batch['target'].shape[1] == batch['deltas'].shape[1] == 1
    size, time, _, _, _ = batch['source'].shape
    weights = jnp.full((size, 2, 1, 16, time, 16), 1 / (time * 16))
    visible = jnp.zeros((size, 1, 1), int)
    return protocols.Attention(visible, weights, jnp.full(size, 0.25))


def test_evaluator_returns_scores_of_attention_only_if_there_is_attention():
  calls = []
  evaluator = correspondence.CorrespondenceEvaluator(
      tiny.get_config(), lambda: calls.append(0)
  )
  assert len(calls) == 4  # A quarter of num_eval_scenes.
  scores, pictures = evaluator(Pixels(), 1.0)
  assert scores.keys() == {'position_share'} and not pictures
  assert 0 < scores['position_share'] < 1
  scores, _ = evaluator(Uniform(), 1.0)
  assert scores.pop('position_share') > 0
  assert scores == pytest.approx(
      {
          'update_gate': 0.25,
          'attention_on_source': 1 / 16,
          'attention_in_place': 1 / 16,
      }
  )
