"""TAP-Vid scores of point tracks (Doersch et al., NeurIPS 2022).

The scores and their names are those of the public implementation
(`compute_tapvid_metrics` in tapnet). Each video is scored alone; the score of a
data set is the mean over its videos.
"""

from collections.abc import Sequence

import numpy as np

# Distances in pixels of frames that are scaled to 256 x 256.
THRESHOLDS = 1, 2, 4, 8, 16


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
  """Scores the point tracks of one video.

  A predicted position is correct at threshold D if it is less than D pixels
  from the true one in a frame scaled to 256 x 256. Positions of points that are
  hidden do not matter.

  Args:
    true: ground-truth tracks of P points, float [P, T, 2], as (x, y) in pixels
      of the frames. Leave out points that are padding.
    visible: whether each point is visible, bool [P, T].
    predicted: predicted tracks, float [P, T, 2], in pixels of the frames.
    predicted_visible: whether each point is predicted visible, bool [P, T].
    query_frames: frame in which each point is queried, int [P].
    height: height of the frames in pixels.
    width: width of the frames in pixels.
    query_mode: frames that are scored: 'first' for those after the point's
      query frame, 'strided' for all but the query frame.

  Returns:
    Scores in [0, 1]:
    'occlusion_accuracy': share of the scored frames of all points in which
    visibility is predicted correctly.
    'pts_within_D' for each threshold D: share of the visible points whose
    position is correct. A point counts once in each scored frame.
    'jaccard_D' for each threshold D: number of true positives (visible,
    predicted visible, position correct), divided by the number of visible
    points plus that of false positives (predicted visible, but hidden or in an
    incorrect position).
    'average_pts_within_thresh' and 'average_jaccard' (AJ): means over the
    thresholds.
    A score whose denominator is 0 is NaN, such as 'pts_within_D' where no point
    is visible in a scored frame; so is a mean over thresholds with a NaN.

  Raises:
    ValueError: the shapes do not fit together, a query frame lies outside of
      the video, or `query_mode` is unknown.
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
  is_scored = _scored_frames(query_frames, num_frames, query_mode)
  scale = 256 / np.array([width, height])
  squared_distance = np.square((predicted - true) * scale).sum(-1)  # [P, T]
  is_visible = visible & is_scored
  is_claimed = predicted_visible & is_scored
  scores = {
      'occlusion_accuracy': _ratio(
          ((visible == predicted_visible) & is_scored).sum(), is_scored.sum()
      )
  }
  for threshold in THRESHOLDS:
    is_correct = (squared_distance < threshold**2) & is_visible
    num_false_positives = (is_claimed & ~is_correct).sum()
    scores[f'pts_within_{threshold}'] = _ratio(
        is_correct.sum(), is_visible.sum()
    )
    scores[f'jaccard_{threshold}'] = _ratio(
        (is_correct & is_claimed).sum(), is_visible.sum() + num_false_positives
    )
  for name, part in (
      ('average_jaccard', 'jaccard'),
      ('average_pts_within_thresh', 'pts_within'),
  ):
    parts = [scores[f'{part}_{threshold}'] for threshold in THRESHOLDS]
    scores[name] = float(np.mean(parts))
  return scores


def average(scores: Sequence[dict[str, float]]) -> dict[str, float]:
  """Averages each score over the videos in which it is not NaN.

  Args:
    scores: scores of one or more videos, as returned by `score`.

  Returns:
    The mean of each score, by name; NaN for a score that no video has.
  """
  means = {}
  for name in scores[0]:
    values = np.array([video[name] for video in scores])
    values = values[~np.isnan(values)]
    means[name] = float(values.mean()) if values.size else float('nan')
  return means


def _scored_frames(query_frames, num_frames, query_mode):
  """Returns which frames are scored for each point, bool [P, T]."""
  frames = np.arange(num_frames)[None]
  if query_mode == 'first':
    return frames > query_frames[:, None]
  if query_mode == 'strided':
    return frames != query_frames[:, None]
  raise ValueError(
      f"query_mode must be 'first' or 'strided', got {query_mode!r}"
  )


def _ratio(part, whole) -> float:
  """Returns the ratio of two counts, NaN if the second one is 0."""
  return float(part / whole) if whole else float('nan')
