"""Instance masks of generated scenes, carried on from their first frame.

Needs no training and no data set: label propagation as in DAVIS-2017, on
scenes whose masks are exact. The score says how well features find the same
thing again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import regions
from rvm_jax.evals.propagation import label_propagation
from rvm_jax.evals.propagation import masks as masks_lib
from rvm_jax.evals.propagation import videos
from rvm_jax.ops import patches


def evaluate(
    model: encoder_lib.FrozenEncoder,
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
    **protocol: settings of `label_propagation.propagate`.

  Returns:
    'j', 'f', 'j_and_f': float, means over all objects of all scenes, of each
      object's mean over frames;
    'num_objects': int;
    'predicted': uint8 [S, F, H, W], and 'true', the same of the objects that
      take part.

  Raises:
    ValueError: no object takes part.
  """
  truth = np.stack(
      [
          masks_lib.renumber(
              s.segments, masks_lib.choose_objects(s.segments[0], min_share)
          )
          for s in scenes
      ]
  )
  if not truth[:, 0].any():
    raise ValueError(
        'scenes must show an object in their first frame, got none that covers'
        f' min_share={min_share} of it'
    )
  found = []
  for start in range(0, len(scenes), batch):
    part = slice(start, start + batch)
    frames = np.stack([scene.frames for scene in scenes[part]])
    found += carry(model.encode(frames).patches, truth[part], protocol)
  found = np.stack(found)
  nums = truth[:, 0].max((1, 2))
  scores = [score(*pair) for pair, num in zip(zip(truth, found), nums) if num]
  means = {
      key: float(np.average([s[key] for s in scores], weights=nums[nums > 0]))
      for key in scores[0]
  }
  return means | {
      'num_objects': int(nums.sum()),
      'predicted': found,
      'true': truth,
  }


def carry(
    features: np.ndarray,
    true: Sequence[np.ndarray],
    settings: Mapping[str, Any],
) -> list[np.ndarray]:
  """Carries the masks of the first frames on.

  Args:
    features: float32 [B, F, h, w, D].
    true: uint8 [F, H, W] of each scene, of which the first frame is read:
      objects from 1.
    settings: of `label_propagation.propagate`.

  Returns:
    uint8 [F, H, W] of each.
  """
  return [
      videos.propagate_masks(
          normalized, masks[0], _numbers(masks), masks.shape[1:], settings
      )
      for normalized, masks in zip(
          label_propagation.normalize(features), true, strict=True
      )
  ]


def score(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
  """'j', 'f' and 'j_and_f' of the frames after the first, in [0, 1].

  Args:
    true: uint8 [F, H, W], whose first frame has objects numbered from 1.
    found: of the same shape.

  Returns:
    Means over frames and then over objects; nan where there are none.
  """
  pairs = [(true[1:] == n, found[1:] == n) for n in _numbers(true)[1:]]
  j, f = (
      float(np.mean([measure(*pair).mean() for pair in pairs]))
      if pairs
      else float('nan')
      for measure in (regions.jaccard, regions.boundary_f)
  )
  return {'j': j, 'f': f, 'j_and_f': (j + f) / 2}


def coarsen(true: np.ndarray, patch: int) -> np.ndarray:
  """Masks [F, H, W] as a grid of patches can hold them."""
  size, numbers = true.shape[1:], _numbers(true)
  grid = patches.grid(*size, patch)
  soft = np.stack([masks_lib.encode(m, numbers, size, grid) for m in true])
  return masks_lib.decode(soft, numbers, size, size)


def _numbers(true):
  return np.arange(1 + true[0].max(), dtype=np.uint8)
