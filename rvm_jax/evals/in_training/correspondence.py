"""Measures whether a run learns to find the same thing in another frame.

A masked target can be predicted in two ways: by copying what was at the same
place, or by finding where the thing was before. Only the second makes features
that track. The loss falls in either case; these numbers tell them apart.
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

# Number of points that are followed in each scene.
NUM_POINTS = 64
# Number of scenes that are encoded at once.
_BATCH = 4
# Seed of the patches that are visible to the model.
_SEED = 0


class Example(NamedTuple):
  """Source frames of a scene, a target frame, and where its points were.

  Attributes:
    frames: uint8 [T + 1, H, W, 3], the source frames and then the target.
    delta: number of frames from the first source frame to the target.
    places: int [P, T + 1], raster index of the patch in which each point is in
      each frame; -1 where it is hidden or outside of the frame.
  """

  frames: np.ndarray
  delta: int
  places: np.ndarray


def generate(
    index: int, num_scenes: int, data: Mapping[str, Any], patch: int
) -> Example:
  """Generates a scene that no run trains on.

  Gaps between the last source frame and the target are spread evenly over those
  of the training.

  Args:
    index: number of the scene, from 0.
    num_scenes: number of scenes, at least 2.
    data: settings of the run's data, as in configs/rvm_base.py.
    patch: P, side of a patch in pixels.
  """
  height, width = data['height'], data['width']
  times = np.arange(data['num_source']) * data['stride']
  # A scene has 64 frames.
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
  # Points that are not visible may have no position (nan).
  columns, rows = (
      np.where(scene.visible, scene.tracks[..., axis], 0) // patch
      for axis in (0, 1)
  )
  places = (rows * (width // patch) + columns).astype(int)
  return Example(scene.frames, times[-1], np.where(scene.visible, places, -1))


@functools.partial(jax.jit, static_argnums=0)
def _encode(objective, params, frames):
  """Returns the features of the last frame, float32 [B, h, w, D]."""
  return mesh_lib.repeat(objective.encode)(params, frames)[:, -1]


@functools.partial(jax.jit, static_argnums=0)
def _attend(objective, params, batch):
  """Returns `protocols.Attention`."""
  attend = mesh_lib.repeat(objective.attend)
  return attend(params, batch, jax.random.key(_SEED))


class CorrespondenceEvaluator:
  """An evaluator that returns what a model's features and attention rely on.

  It uses generated scenes, where it is known which patches of two frames show
  the same point. They are the same at each call and in each process.
  """

  def __init__(
      self,
      config: ml_collections.ConfigDict,
      check: Callable[[], None] = lambda: None,
  ):
    """Generates the scenes, with the frames that the run trains on.

    Args:
      config: config of the run, as in configs/rvm_base.py. There are a quarter
        as many scenes as its `num_eval_scenes`.
      check: function that raises if the run is to stop. It is called between
        scenes and between batches, by all processes at the same places.
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
      No pictures, and scalars in [0, 1] by name, the last three only if the
      objective has `attend`.

      'position_share': share of the variance of features that their position in
        the frame explains. Features that track what moves have a low one. With
        random features it is 1 / (number of scenes).
      'update_gate': mean update gate, if there is a recurrent core. Near 0 the
        features hardly change from frame to frame.
      'attention_on_source': for hidden patches of the target whose point was in
        another patch in all source frames, the attention to the patches where
        it was; the largest mean of a layer of the decoder.
      'attention_in_place': for the same patches the attention to the patches at
        their own place, in the same layer.
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
  """Returns the share of variance that the position in the frame explains.

  Args:
    features: float [S, h, w, D], features of S frames.
  """
  total = features.var((0, 1, 2)).sum()
  return float(features.mean(0).var((0, 1)).sum() / total) if total else 0.0


def sum_attention(
    weights: np.ndarray, visible: np.ndarray, places: np.ndarray
) -> np.ndarray:
  """Sums up the attention of points to where they were, and to where they are.

  A point takes part if it is visible in all frames, is in a hidden patch of the
  target, and was in another patch in each source frame.

  Args:
    weights: float [B, L, 1, N, T, N], as in `protocols.Attention`.
    visible: int [B, 1, V], raster indices of the target's visible patches.
    places: int [B, P, T + 1], as in `Example`.

  Returns:
    For each point that takes part its sums over the source frames, by layer:
    float [points, L, 2], first over the patches where it was, then over those
    at its place in the target.
  """
  sums = []
  for weight, seen, place in zip(weights[:, :, 0], visible[:, 0], places):
    before, now = place[:, :-1], place[:, -1:]
    takes_part = (place >= 0).all(1) & (before != now).all(1)
    takes_part &= ~np.isin(now[:, 0], seen)
    for was, is_at in zip(before[takes_part], now[takes_part, 0]):
      row = weight[:, is_at]  # [L, T, N]
      on_source = row[:, np.arange(len(was)), was].sum(1)
      sums.append(np.stack([on_source, row[:, :, is_at].sum(1)], 1))
  return np.array(sums).reshape(-1, weights.shape[1], 2)


def average(sums: np.ndarray) -> tuple[float, float] | None:
  """Returns the means of the layer that attends most to the true source.

  Args:
    sums: float [points, L, 2], as `sum_attention` returns them.

  Returns:
    The means over points; None if there is no point.
  """
  if not len(sums):
    return None
  means = sums.mean(0)
  on_source, in_place = means[means[:, 0].argmax()]
  return float(on_source), float(in_place)


def _read(found):
  """Returns arrays that all devices have in full as arrays of the host."""
  return multihost_utils.process_allgather(found, tiled=True)
