"""Perception Test: points tracked through clips, by a trained readout.

The scores are those of `metrics.points`, in %. In each clip, all frames but the
first one, which holds the queries, are scored. Scores are averaged over clips.
'static_average_jaccard' is the baseline: the score of points that never move
and are always visible.
"""

import functools

import numpy as np

from rvm_jax.evals.datasets import perception_test
from rvm_jax.evals.fitting import pictures
from rvm_jax.evals.fitting import scoring
from rvm_jax.evals.fitting import task
from rvm_jax.evals.heads import points
from rvm_jax.evals.metrics import points as metric

_STATIC = 'static_average_jaccard'


def _make_head(
    clip: perception_test.TrackedClip, **settings
) -> points.PointsHead:
  """Returns a head for frames of the clip's size."""
  return points.PointsHead(**clip.sampling.frame_size, **settings)


def _score_clip(clip, ground_truth, prediction):
  """Returns the row of a clip: scores in % of its points, padding left out."""
  valid = ground_truth['is_valid']
  tracks, visible = (
      ground_truth['tracks'][valid],
      ground_truth['visible'][valid],
  )
  score = functools.partial(
      metric.score,
      tracks,
      visible,
      query_frames=np.zeros(len(tracks), int),
      query_mode='first',
      **clip.sampling.frame_size,
  )
  scores = score(
      predicted=prediction['tracks'][valid],
      predicted_visible=prediction['visible'][valid],
  )
  static = score(
      predicted=np.broadcast_to(tracks[:, :1], tracks.shape),
      predicted_visible=np.ones_like(visible),
  )
  scores[_STATIC] = static['average_jaccard']
  return {'clip': clip.name, 'num_points': len(tracks)} | {
      key: 100 * value for key, value in scores.items()
  }


def _summarise(rows):
  """Averages over clips, each with the same weight."""
  keys = [key for key in rows[0] if key not in ('clip', 'num_points')]
  scores = metric.average([{key: row[key] for key in keys} for row in rows])
  num_points = sum(row['num_points'] for row in rows)
  return scores | {'num_clips': len(rows), 'num_points': num_points}


TASK = task.Task(
    title='Perception Test AJ',
    name='points',
    read=perception_test.read,
    splits=('train', 'valid'),
    head=_make_head,
    metric=scoring.Metric(_score_clip, _summarise, 'average_jaccard'),
    draw=lambda clip, example, prediction: pictures.draw_points(
        example, prediction
    ),
)
