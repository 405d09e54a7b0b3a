"""Point tracks as TAP-Vid scores them (Doersch et al., NeurIPS 2022).

Names of the scores are those of the public implementation. A score over
several videos is the mean of the videos' scores.
"""

from collections.abc import Sequence

import numpy as np

THRESHOLDS = 1, 2, 4, 8, 16  # Pixels, of frames scaled to 256 x 256.


def score(
    true: np.ndarray,
    visible: np.ndarray,
    predicted: np.ndarray,
    predicted_visible: np.ndarray,
    query_frames: np.ndarray,
    *,
    height: int,
    width: int,
    query_mode: str,
) -> dict[str, float]:
  """Scores the points of one video, without padding.

  'average_jaccard' (AJ), 'average_pts_within_thresh' (position accuracy) and
  'occlusion_accuracy', and for each threshold 'jaccard_D' and 'pts_within_D'.
  A point is right if it is less than D pixels off in a frame scaled to
  256 x 256.

  Args:
    true, predicted: float [P, T, 2], (x, y) in pixels of the frames.
    visible, predicted_visible: bool [P, T].
    query_frames: int [P], the frame in which a point was asked for.
    height, width: of the frames, in pixels.
    query_mode: which frames count: 'first' for those after the query's,
      'strided' for all others.

  Returns:
    Scores in [0, 1]; NaN where there is nothing to score.

  Raises:
    ValueError: shapes that do not fit, a query outside the video, or another
      mode.
  """
  if true.ndim != 3 or true.shape[-1] != 2:
    raise ValueError(f'true must be [P, T, 2], got {true.shape}')
  num_points, num_frames, _ = true.shape
  for name, value, shape in (
      ('visible', visible, true.shape[:2]),
      ('predicted', predicted, true.shape),
      ('predicted_visible', predicted_visible, true.shape[:2]),
      ('query_frames', query_frames, (num_points,)),
  ):
    if value.shape != shape:
      raise ValueError(f'{name} must be {shape}, got {value.shape}')
  if ((query_frames < 0) | (query_frames >= num_frames)).any():
    raise ValueError(
        f'query_frames must be in 0..{num_frames - 1}, got'
        f' {query_frames.min()} to {query_frames.max()}'
    )
  counted = _counted_frames(query_frames, num_frames, query_mode)
  scale = 256 / np.array([width, height])
  squared = np.square((predicted - true) * scale).sum(-1)  # [P, T]
  seen = visible & counted
  claimed = predicted_visible & counted
  scores = {
      'occlusion_accuracy': _share(
          ((visible == predicted_visible) & counted).sum(), counted.sum()
      )
  }
  for threshold in THRESHOLDS:
    right = (squared < threshold**2) & seen
    false_positives = (claimed & ~right).sum()
    scores[f'pts_within_{threshold}'] = _share(right.sum(), seen.sum())
    scores[f'jaccard_{threshold}'] = _share(
        (right & claimed).sum(), seen.sum() + false_positives
    )
  for name, part in (
      ('average_jaccard', 'jaccard'),
      ('average_pts_within_thresh', 'pts_within'),
  ):
    parts = [scores[f'{part}_{threshold}'] for threshold in THRESHOLDS]
    scores[name] = float(np.mean(parts))
  return scores


def average(scores: Sequence[dict[str, float]]) -> dict[str, float]:
  """The mean of each score over videos, those left out in which it is NaN.

  Args:
    scores: what `score` returned, a dict a video.

  Returns:
    The same keys; NaN for a score that no video has.
  """
  means = {}
  for name in scores[0]:
    found = np.array([video[name] for video in scores])
    found = found[~np.isnan(found)]
    means[name] = float(found.mean()) if found.size else float('nan')
  return means


def _counted_frames(query_frames, num_frames, query_mode):
  """bool [P, T]."""
  frames = np.arange(num_frames)[None]
  if query_mode == 'first':
    return frames > query_frames[:, None]
  if query_mode == 'strided':
    return frames != query_frames[:, None]
  raise ValueError(
      f"query_mode must be 'first' or 'strided', got {query_mode!r}"
  )


def _share(part, whole) -> float:
  return float(part / whole) if whole else float('nan')
