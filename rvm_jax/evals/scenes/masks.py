"""Propagates the instance masks of generated scenes from their first frame.

This needs neither training nor a data set: it is label propagation as on
DAVIS-2017, on scenes whose masks are exact. The score says how well objects are
found again by the similarity of features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import regions
from rvm_jax.evals.propagation import label_propagation
from rvm_jax.evals.propagation import masks as masks_lib
from rvm_jax.evals.propagation import still_masks
from rvm_jax.evals.propagation import videos
from rvm_jax.ops import patches


def evaluate(
    encoder: encoder_lib.FrozenEncoder,
    scenes: Sequence[source_lib.Scene],
    settings: Mapping[str, Any],
    *,
    batch: int = 8,
    min_share: float = 0.005,
) -> dict[str, Any]:
  """Propagates first-frame masks through scenes and scores them.

  An object takes part if it covers at least `min_share` of the first frame;
  smaller ones count as background. It is scored in every frame after the
  first. Where it is hidden or out of view, J and F are 1 if nothing is
  predicted for it, and 0 otherwise.

  Args:
    encoder: the frozen encoder.
    scenes: S scenes of one shape, of which `frames`, uint8 [T, H, W, 3], and
      `segments`, uint8 [T, H, W], are used; segment 0 is the background.
    settings: settings of `label_propagation.propagate`.
    batch: number of scenes that are encoded at once.
    min_share: smallest share of the first frame's pixels, in [0, 1], that an
      object must cover to take part.

  Returns:
    'j', 'f', 'j_and_f': float in [0, 1], means over all objects of all scenes,
      of each object's mean over frames.
    'num_objects': int, number of objects that take part.
    'by_scene': for each scene a dict with its own 'j', 'f', 'j_and_f' and
      'num_objects', as returned by `score_all`.
    'predictions': uint8 [S, T, H, W], the propagated masks.
    'ground_truth': uint8 [S, T, H, W], the true masks of the objects that take
      part.

  Raises:
    ValueError: no object takes part.
  """
  ground_truth = np.stack(
      [
          masks_lib.renumber(
              s.segments, masks_lib.choose_objects(s.segments[0], min_share)
          )
          for s in scenes
      ]
  )
  if not ground_truth[:, 0].any():
    raise ValueError(
        'scenes must show an object in their first frame, got none that covers'
        f' min_share={min_share} of it'
    )
  predictions = []
  for start in range(0, len(scenes), batch):
    part = slice(start, start + batch)
    frames = np.stack([scene.frames for scene in scenes[part]])
    features = encoder.encode(frames).patches
    predictions += propagate(features, ground_truth[part], settings)
  return score_all(ground_truth, predictions) | {
      'predictions': np.stack(predictions),
      'ground_truth': ground_truth,
  }


def repeat(ground_truth: np.ndarray, patch: int) -> dict[str, np.ndarray]:
  """Predicts that the masks of the first frames stay: the baseline of masks.

  Args:
    ground_truth: uint8 [S, T, H, W], masks of S scenes; the first frame of each
      scene has objects numbered from 1.
    patch: P, side of a patch in pixels.

  Returns:
    For each key of `still_masks.KINDS`, uint8 [S, T, H, W], the masks of the
    first frame in every frame.
  """
  size, num_frames = ground_truth.shape[2:], ground_truth.shape[1]
  grid = patches.grid(*size, patch)
  still = [
      still_masks.repeat(masks[0], _numbers(masks), size, grid, num_frames)
      for masks in ground_truth
  ]
  return {
      kind: np.stack([found[kind] for found in still])
      for kind in still_masks.KINDS
  }


def score_all(
    ground_truth: Sequence[np.ndarray], predictions: Sequence[np.ndarray]
) -> dict[str, Any]:
  """Scores the predicted masks of several scenes.

  Args:
    ground_truth: true masks of each scene, uint8 [T, H, W]; the first frame has
      objects numbered from 1. At least one scene has an object.
    predictions: predicted masks of each scene, uint8 [T, H, W].

  Returns:
    'j', 'f', 'j_and_f' and 'num_objects' as in `evaluate`; and 'by_scene', a
    dict with these keys for each scene. Scores are nan, and 'num_objects' is 0,
    in a scene without objects.
  """
  by_scene = [
      score(true, predicted) | {'num_objects': int(true[0].max())}
      for true, predicted in zip(ground_truth, predictions, strict=True)
  ]
  scored = [scores for scores in by_scene if scores['num_objects']]
  # A scene's weight is its number of objects, so that all objects count alike.
  nums = [scores['num_objects'] for scores in scored]
  return {
      key: float(np.average([scores[key] for scores in scored], weights=nums))
      for key in ('j', 'f', 'j_and_f')
  } | {'num_objects': sum(nums), 'by_scene': by_scene}


def propagate(
    features: np.ndarray,
    ground_truth: Sequence[np.ndarray],
    settings: Mapping[str, Any],
) -> list[np.ndarray]:
  """Propagates the masks of the first frames through their scenes.

  Args:
    features: float32 [B, T, h, w, D], features of B scenes, of any length.
    ground_truth: true masks of each scene, uint8 [T, H, W]; the first frame has
      objects numbered from 1. Values of other frames are not used.
    settings: settings of `label_propagation.propagate`.

  Returns:
    The predicted masks of each scene, uint8 [T, H, W]. The masks of the first
    frame are predicted too.
  """
  return [
      videos.propagate_masks(
          normalized, masks[0], _numbers(masks), masks.shape[1:], settings
      )
      for normalized, masks in zip(
          label_propagation.normalize(features), ground_truth, strict=True
      )
  ]


def score(ground_truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
  """Scores the predicted masks of one scene in all frames after the first.

  Args:
    ground_truth: true masks, uint8 [T, H, W]; the first frame has objects
      numbered from 1.
    prediction: predicted masks, uint8 [T, H, W].

  Returns:
    'j', 'f' and 'j_and_f', float in [0, 1]: means over frames and then over
    objects; nan if there is no object.
  """
  pairs = [
      (ground_truth[1:] == number, prediction[1:] == number)
      for number in _numbers(ground_truth)[1:]
  ]
  j, f = (
      float(np.mean([measure(*pair).mean() for pair in pairs]))
      if pairs
      else float('nan')
      for measure in (regions.jaccard, regions.boundary_f)
  )
  return {'j': j, 'f': f, 'j_and_f': (j + f) / 2}


def coarsen(masks: np.ndarray, patch: int) -> np.ndarray:
  """Rounds masks as label propagation does, which works on a grid of patches.

  Masks are sampled at the centres of patches and interpolated linearly between
  them. Each pixel gets the object with the largest value there.

  Args:
    masks: uint8 [T, H, W]; the first frame has objects numbered from 1.
    patch: P, side of a patch in pixels.

  Returns:
    The rounded masks, uint8 [T, H, W].
  """
  size, numbers = masks.shape[1:], _numbers(masks)
  grid = patches.grid(*size, patch)
  soft = np.stack([masks_lib.encode(m, numbers, size, grid) for m in masks])
  return masks_lib.decode(soft, numbers, size, size)


def _numbers(masks):
  """Returns 0 and the numbers of the objects in the first frame, uint8."""
  return np.arange(1 + masks[0].max(), dtype=np.uint8)
