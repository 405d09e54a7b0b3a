"""Measures whether a run learns to find the same thing in another frame.

A hidden patch of the target can be predicted in two ways: by copying what was
at the same place in the source frames, or by finding where the thing in it was
before. The loss falls in either case, but only the second way makes features
that track. The scores of this evaluator tell the two apart.

Q is the number of points that are followed in a scene, P the side of a patch.
"""

from collections.abc import Callable, Mapping
import functools
from typing import Any, NamedTuple

from absl import logging
import jax
from jax.experimental import multihost_utils
import ml_collections
import numpy as np

from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.scenes import clips as clips_lib
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import protocols

# Number of points that are followed in each scene, Q.
NUM_POINTS = 64
# Number of scenes that are encoded at once.
_BATCH = 4
# Seed of the choice of the target's patches that are visible to the model.
_SEED = 0


class Example(NamedTuple):
  """Source frames of a scene, a target frame, and the places of points.

  Attributes:
    frames: uint8 [T + 1, H, W, 3], the T source frames and then the target.
    delta: number of frames from the first source frame to the target.
    places: int [Q, T + 1], raster index of the patch in which each point is in
      each frame; -1 where the point is hidden or outside of the frame.
  """

  frames: np.ndarray
  delta: int
  places: np.ndarray


def generate(
    index: int, num_scenes: int, data: Mapping[str, Any], patch: int
) -> Example:
  """Generates the example of a scene that no run trains on.

  The gap from the last source frame to the target grows with the number of the
  scene, in even steps from the least to the greatest gap of the training.

  Args:
    index: number of the scene, from 0.
    num_scenes: number of scenes, at least 2.
    data: settings of the run's data, as in configs/rvm_base.py.
    patch: P, side of a patch in pixels.

  Returns:
    The example. Its points are chosen in the target, where all are visible.
  """
  height, width = data['height'], data['width']
  times = np.arange(data['num_source']) * data['stride']
  # The target must not lie beyond the last frame of the scene.
  most = min(data['max_gap'], source_lib.NUM_FRAMES - 1 - times[-1])
  least = min(data['min_gap'], most)
  gap = round(least + (most - least) * index / (num_scenes - 1))
  times = [*times.tolist(), int(times[-1]) + gap]
  scenes = source_lib.Scenes(num_scenes, height, width, split='held_out')
  scene = source_lib.generate(
      scenes.scene_seed(index),
      height=height,
      width=width,
      frames=times,
      num_tracks=NUM_POINTS,
      track_frame=times[-1],
  )
  # The position of a point that is not visible may be nan, so 0 replaces it.
  columns, rows = (
      np.where(scene.visible, scene.tracks[..., axis], 0) // patch
      for axis in (0, 1)
  )
  places = (rows * (width // patch) + columns).astype(int)
  return Example(scene.frames, times[-1], np.where(scene.visible, places, -1))


@functools.partial(jax.jit, static_argnums=0)
def _encode(objective, params, frames):
  """Returns the features of the last source frame, float32 [B, h, w, D]."""
  return mesh_lib.repeat(objective.encode)(params, frames)[:, -1]


@functools.partial(jax.jit, static_argnums=0)
def _attend(objective, params, batch):
  """Returns the `protocols.Attention` of a batch, all of it on each device."""
  attend = mesh_lib.repeat(objective.attend)
  return attend(params, batch, jax.random.key(_SEED))


class CorrespondenceEvaluator:
  """An evaluator that measures whether features and attention follow things.

  It uses generated scenes, where it is known which patches of two frames show
  the same point. The scenes are the same at each call and in each process.
  """

  def __init__(
      self,
      config: ml_collections.ConfigDict,
      check: Callable[[], None] = lambda: None,
  ):
    """Generates the scenes, with the frame sizes and gaps of the training.

    Args:
      config: config of the run, as in configs/rvm_base.py. The number of scenes
        is a quarter of its `num_eval_scenes`.
      check: function that raises if the run is to stop. All processes call it
        at the same points, after each scene and before each batch, so that they
        stop together.
    """
    self._check = check
    num_scenes = config.num_eval_scenes // 4
    make = functools.partial(
        generate,
        num_scenes=num_scenes,
        data=config.data.to_dict(),
        patch=config.model.patch,
    )
    self._examples = []
    with clips_lib.start_workers(config.data.num_workers) as map_:
      for example in map_(make, range(num_scenes)):
        self._examples.append(example)
        check()

  def __call__(
      self, objective: protocols.VideoObjective, params: Any
  ) -> tuple[Mapping[str, float], Mapping[str, np.ndarray]]:
    """Measures the current parameters.

    Args:
      objective: training objective of the run.
      params: current parameters of the objective's model.

    Returns:
      Scalars in [0, 1] by name, and no pictures. Every objective has the first
      of these scalars; the others need an objective with `attend`.

      'position_share': share of the variance of the features that is explained
        by their position in the frame. It is low for features that track what
        moves, and 1 / (number of scenes) for random features.
      'update_gate': mean update gate of the recurrent core. If it is near 0,
        features hardly change from frame to frame. It is missing if there is no
        core or only one source frame.
      'attention_on_source': share of the decoder's attention that goes from the
        patch of a point in the target to the patches that show the point in the
        source frames. It is the mean over the points that `sum_attention`
        selects, in the layer in which this mean is the largest; missing if no
        point is selected.
      'attention_in_place': share of the attention that goes from the patch of
        the point in the target to the patches at the same place in the source
        frames, for the same points and the same layer.
    """
    features, masses, gates = [], [], []
    attends = hasattr(objective, 'attend')
    for start in range(0, len(self._examples), _BATCH):
      self._check()
      examples = self._examples[start : start + _BATCH]
      frames = np.stack([example.frames for example in examples])
      features.append(_read(_encode(objective, params, frames[:, :-1])))
      if attends:
        batch = {
            'source': frames[:, :-1],
            'target': frames[:, -1:],
            'deltas': np.array([[example.delta] for example in examples]),
        }
        found = _read(_attend(objective, params, batch))
        places = np.stack([example.places for example in examples])
        masses.append(sum_attention(found.weights, found.visible, places))
        gates.append(found.update_gate)
    scores = {'position_share': explain_by_position(np.concatenate(features))}
    if attends and gates[0] is not None:
      scores['update_gate'] = float(np.mean(gates))
    if attends and (means := average(np.concatenate(masses))) is not None:
      scores |= dict(zip(('attention_on_source', 'attention_in_place'), means))
    logging.info(
        'correspondence: %s',
        ', '.join(f'{name} {score:.3f}' for name, score in scores.items()),
    )
    return scores, {}


def explain_by_position(features: np.ndarray) -> float:
  """Computes the share of variance that the position in the frame explains.

  It is the variance of the mean features of each position, divided by the
  variance of all features; both are summed over channels.

  Args:
    features: float [S, h, w, D], features of S frames.

  Returns:
    The share in [0, 1]; 0 if all features are the same.
  """
  total = features.var((0, 1, 2)).sum()
  return float(features.mean(0).var((0, 1)).sum() / total) if total else 0.0


def sum_attention(
    weights: np.ndarray, visible: np.ndarray, places: np.ndarray
) -> np.ndarray:
  """Sums up the attention from the patches of points to two sets of patches.

  The first set has the patches that show the point in the source frames. The
  second has the patches of the source frames at the place that the point has in
  the target. A point is selected if it is visible in all frames, is in a hidden
  patch of the target, and was in another patch in each source frame.

  Args:
    weights: float [B, L, 1, N, T, N], attention of one target for each of L
      layers, as in `protocols.Attention`.
    visible: int [B, 1, V], raster indices of the target's visible patches.
    places: int [B, Q, T + 1], as in `Example`.

  Returns:
    float [S, L, 2], the two sums for each of the S selected points of all
    examples and each layer.
  """
  sums = []
  for weight, seen, place in zip(weights[:, :, 0], visible[:, 0], places):
    # Select points by their patches in the sources, [Q, T], and target, [Q, 1].
    before, now = place[:, :-1], place[:, -1:]
    takes_part = (place >= 0).all(1) & (before != now).all(1)
    takes_part &= ~np.isin(now[:, 0], seen)

    # Sum the attention of the patch `is_at` over the T source frames.
    for was, is_at in zip(before[takes_part], now[takes_part, 0]):
      row = weight[:, is_at]  # [L, T, N]
      on_source = row[:, np.arange(len(was)), was].sum(1)
      sums.append(np.stack([on_source, row[:, :, is_at].sum(1)], 1))
  return np.array(sums).reshape(-1, weights.shape[1], 2)


def average(sums: np.ndarray) -> tuple[float, float] | None:
  """Averages the sums of attention over points, and chooses a layer.

  Args:
    sums: float [S, L, 2], as returned by `sum_attention` for S points.

  Returns:
    The two means over points of the layer whose first mean, the attention to
    the patches that show the point, is the largest; None if there is no point.
  """
  if not len(sums):
    return None
  means = sums.mean(0)
  on_source, in_place = means[means[:, 0].argmax()]
  return float(on_source), float(in_place)


def _read(found):
  """Copies a tree of arrays, each whole on every device, to np.ndarrays."""
  return multihost_utils.process_allgather(found, tiled=True)
