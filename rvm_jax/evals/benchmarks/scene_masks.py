"""Instance masks of generated scenes, carried on from their first frame.

Needs no training and no data set: label propagation as in DAVIS-2017, on
scenes whose masks are exact. The score says how well features find the same
thing again.
"""

from collections.abc import Sequence

import numpy as np

from rvm_jax.evals import features as features_lib
from rvm_jax.evals import labelprop
from rvm_jax.evals.benchmarks import propagation
from rvm_jax.evals.metrics import regions


def evaluate(
    model: features_lib.Model,
    scenes: Sequence,
    *,
    batch: int = 8,
    min_share: float = 0.005,
    **protocol,
) -> dict:
  """Propagates first-frame masks through scenes and compares with the truth.

  An object takes part if it covers at least `min_share` of the first frame;
  smaller ones count as background. It is scored in every frame after the
  first. Where it is hidden or out of sight, J and F are 1 if nothing is
  predicted for it, and 0 otherwise.

  Args:
    model: the encoder.
    scenes: objects with `frames`, uint8 [F, H, W, 3], and `segments`, uint8
      [F, H, W], 0 the background; all of one shape.
    batch: scenes that are encoded at once.
    min_share: of the image's pixels.
    **protocol: settings of `labelprop.propagate`.

  Returns:
    'j', 'f', 'j_and_f': float, means over all objects of all scenes, of each
      object's mean over frames;
    'num_objects': int;
    'predicted': uint8 [S, F, H, W], and 'true', the same of the objects that
      take part.

  Raises:
    ValueError: no object takes part.
  """
  truth = np.stack([_visible_objects(s.segments, min_share) for s in scenes])
  num_labels = 1 + int(truth.max())
  if num_labels == 1:
    raise ValueError(
        'scenes must show an object in their first frame, got none that covers'
        f' min_share={min_share} of it'
    )
  predicted = np.empty_like(truth)
  for start in range(0, len(scenes), batch):
    part = slice(start, start + batch)
    found = model.encode(np.stack([s.frames for s in scenes[part]]))
    features = labelprop.normalize(found.patches)
    for index, of_scene in enumerate(features, start):
      mask = truth[index, 0]
      predicted[index] = propagation.carry_masks(
          of_scene, mask, np.arange(num_labels, dtype=np.uint8), mask.shape,
          protocol,
      )
  j, f = [], []
  for true, found in zip(truth, predicted):
    for label in range(1, 1 + int(true[0].max())):
      pair = true[1:] == label, found[1:] == label
      j.append(regions.jaccard(*pair).mean())
      f.append(regions.boundary_f(*pair).mean())
  return {
      'j': float(np.mean(j)),
      'f': float(np.mean(f)),
      'j_and_f': float(np.mean(j) + np.mean(f)) / 2,
      'num_objects': len(j),
      'predicted': predicted,
      'true': truth,
  }


def _visible_objects(segments, min_share):
  """Numbers the objects that the first frame shows well from 1."""
  area = np.bincount(segments[0].ravel(), minlength=256)
  area[0] = 0
  kept = np.flatnonzero(area >= max(1, min_share * segments[0].size))
  table = np.zeros(256, np.uint8)
  table[kept] = 1 + np.arange(len(kept))
  return table[segments]
