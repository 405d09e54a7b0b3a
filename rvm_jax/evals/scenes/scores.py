"""How the answers of readouts on scenes are scored, and what not looking gets.

A score is called `TASK_WHAT`, and the same of an answer without looking
`TASK_WHAT_floor`. Each function takes an example of `scenes.clips` and what
`readouts.answer` gives for it.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

import numpy as np

from rvm_jax.evals.metrics import boxes as boxes_metric
from rvm_jax.evals.metrics import camera_poses as poses_metric
from rvm_jax.evals.metrics import depth as depth_metric
from rvm_jax.evals.metrics import points as points_metric
from rvm_jax.evals.scenes import clips
from rvm_jax.evals.scenes import masks as masks_lib

Arrays = Mapping[str, np.ndarray]


def find_typical(records: Sequence[clips.Record]) -> dict[str, np.ndarray]:
  """What to answer without looking: mean log depth and camera."""
  logs, count = 0.0, 0
  for record in records:
    depth = record.example['depth']
    known = depth > 0
    logs += np.log(np.where(known, depth, 1)).sum(0, dtype=np.float64)
    count += known.sum(0)
  return {
      'depth': np.exp(logs / np.maximum(count, 1)),
      'pose': np.mean([r.example['pose'] for r in records], 0),
  }


def score_motion(truth: Arrays, predicted: Arrays) -> dict[str, Any]:
  """Which of 8 motions it is, and which of its pair; 0 or 100."""
  label, chances = int(truth['label']), predicted['probabilities']
  return {
      'motion_top1': 100.0 * (chances.argmax() == label),
      'motion_top1_floor': 100 / len(chances),
      # Motions come in pairs, each the other backwards.
      'motion_direction': 100.0 * (chances[label] > chances[label ^ 1]),
      'motion_direction_floor': 50.0,
  }


def score_points(truth: Arrays, predicted: Arrays) -> dict[str, Any]:
  """Where points are, as TAP-Vid scores it, and which are hidden."""
  tracks, visible = truth['tracks'], truth['visible']
  score = functools.partial(
      points_metric.score,
      tracks,
      visible,
      query_frames=np.zeros(len(tracks), int),
      query_mode='first',
      # So that thresholds are in pixels of the frames as they are: on 256 x
      # 256, all but the widest are finer than a tenth of a patch.
      height=256,
      width=256,
  )
  found = score(
      predicted=predicted['tracks'], predicted_visible=predicted['visible']
  )
  floor = score(
      predicted=np.broadcast_to(tracks[:, :1], tracks.shape),
      predicted_visible=np.ones_like(visible),
  )
  hidden, pairs = _rank_hidden(visible[:, 1:], predicted['chance'][:, 1:])
  return {
      f'points_{name}{end}': 100 * scores[key]
      for name, key in (
          ('aj', 'average_jaccard'),
          ('position', 'average_pts_within_thresh'),
          ('occlusion', 'occlusion_accuracy'),
      )
      for end, scores in (('', found), ('_floor', floor))
  } | {
      'num_pairs': pairs,
      'points_hidden': 100 * hidden,
      'points_hidden_floor': 50.0,
  }


def _rank_hidden(visible, chance):
  """Of pairs of points in one frame, of which one is hidden, how many are told.

  The area under the ROC, within frames: that points are hidden later rather
  than sooner is worth nothing, and neither is how many are.

  Args:
    visible: bool [P, T].
    chance: float [P, T], of being visible.

  Returns:
    In [0, 1], nan where no frame has a pair; and the number of pairs.
  """
  is_pair = visible[:, None] & ~visible[None]  # [P, P, T]
  above = np.sign(chance[:, None] - chance[None])
  pairs = int(is_pair.sum())
  told = float(((1 + above) / 2 * is_pair).sum())
  return told / pairs if pairs else float('nan'), pairs


def score_boxes(truth: Arrays, predicted: Arrays) -> dict[str, Any]:
  """The mean IoU of boxes after the first frame; nan where there are none."""
  boxes = truth['boxes']
  found = boxes_metric.track_iou(boxes, predicted['boxes'])
  floor = boxes_metric.track_iou(
      boxes, np.broadcast_to(boxes[:, :1], boxes.shape)
  )
  num = int(np.isfinite(found).sum())
  mean = lambda x: 100 * float(np.nanmean(x)) if num else float('nan')
  return {
      'num_boxes': num,
      'boxes_iou': mean(found),
      'boxes_iou_floor': mean(floor),
  }


def score_depth(
    typical: Arrays, truth: Arrays, predicted: Arrays
) -> dict[str, Any]:
  """The relative error, and the share of pixels off by less than a quarter."""
  score = lambda depth: depth_metric.pool(
      depth_metric.score(truth['depth'], depth)
  )
  found = score(predicted['depth'])
  floor = score(np.broadcast_to(typical['depth'], truth['depth'].shape))
  return {
      f'depth_{name}{end}': 100 * scores[name]
      for name in ('abs_rel', 'delta_1')
      for end, scores in (('', found), ('_floor', floor))
  }


def score_pose(
    typical: Arrays, truth: Arrays, predicted: Arrays
) -> dict[str, Any]:
  """By how far points before the camera end elsewhere, in cm."""
  error = lambda pose: 100 * float(
      poses_metric.end_point_error(
          truth['pose'], pose, poses_metric.points_ahead()
      )
  )
  return {
      'pose_epe': error(predicted['pose']),
      'pose_epe_floor': error(typical['pose']),
  }


def score_masks(
    true: np.ndarray, found: np.ndarray, patch: int
) -> dict[str, Any]:
  """J and F of masks that were carried, of some that stay, and the ceiling.

  Args:
    true, found: uint8 [T, H, W].
    patch: side in pixels: floor and ceiling are the true masks, of the first
      frame and of each, as patches can hold them.
  """
  whole = masks_lib.coarsen(true, patch)
  still = np.broadcast_to(whole[:1], true.shape)
  return {'num_objects': int(true[0].max())} | {
      f'masks_{key}{end}': 100 * value
      for end, masks in (('', found), ('_floor', still), ('_ceiling', whole))
      for key, value in masks_lib.score(true, masks).items()
  }
