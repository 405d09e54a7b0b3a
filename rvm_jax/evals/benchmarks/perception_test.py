"""Perception Test: points followed through clips, by a trained readout."""

from collections.abc import Mapping
import functools
from typing import Any

import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.benchmarks import clips
from rvm_jax.evals.benchmarks import pictures
from rvm_jax.evals.datasets import perception_test
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import task
from rvm_jax.evals.heads import points
from rvm_jax.evals.metrics import points as metric

_STATIC = 'static_average_jaccard'


def evaluate(
    model: encoder_lib.FrozenEncoder,
    data_dir: str,
    *,
    workdir: str,
    sampling: Mapping[str, Any],
    train: Mapping[str, Any],
    test: Mapping[str, Any],
    head: Mapping[str, Any],
    features: Mapping[str, Any],
    training: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on clips of the validation videos.

  Scores are those of `metrics.points`, in %, of each clip after its first
  frame, in which points are asked for, then the mean over clips; and
  'static_average_jaccard', of points that never move nor hide.

  Args:
    model: the encoder.
    data_dir: see `datasets.perception_test`.
    workdir: see `readout.evaluate`.
    sampling, train, test: how videos are cut, see `clips.read`.
    head: settings of `PointsHead`.
    features, training: see `readout.evaluate`.

  Returns:
    A report with a row for each clip.

  Raises:
    FileNotFoundError: something of the data set is missing.
    ValueError: broken files, or settings that do not fit together.
  """
  splits = clips.read(
      perception_test.read, data_dir, ('train', 'valid'), sampling, train, test
  )
  size = {key: sampling[key] for key in ('height', 'width')}
  found = task.evaluate(
      model,
      points.PointsHead(**size, **head),
      splits.train,
      splits.test,
      task.Metric(
          functools.partial(_score_clip, size), _summarise, 'average_jaccard'
      ),
      name='points',
      workdir=workdir,
      examples=splits.settings,
      features=features,
      training=training,
  )
  return report.Report(
      task='Perception Test AJ',
      headline='average_jaccard',
      scores=found.scores,
      rows=found.rows,
      pictures={s.name: pictures.draw_points(s) for s in found.shown},
      files=splits.files,
      notes=[*splits.notes, *found.notes],
  )


def _score_clip(size, record, truth, predicted):
  valid = truth['is_valid']
  tracks, visible = truth['tracks'][valid], truth['visible'][valid]
  score = functools.partial(
      metric.score,
      tracks,
      visible,
      query_frames=np.zeros(len(tracks), int),
      query_mode='first',
      **size,
  )
  scores = score(
      predicted=predicted['tracks'][valid],
      predicted_visible=predicted['visible'][valid],
  )
  static = score(
      predicted=np.broadcast_to(tracks[:, :1], tracks.shape),
      predicted_visible=np.ones_like(visible),
  )
  scores[_STATIC] = static['average_jaccard']
  return {'clip': record.name, 'num_points': len(tracks)} | {
      key: 100 * value for key, value in scores.items()
  }


def _summarise(rows):
  keys = [key for key in rows[0] if key not in ('clip', 'num_points')]
  scores = metric.average([{key: row[key] for key in keys} for row in rows])
  num_points = sum(row['num_points'] for row in rows)
  return scores | {'num_clips': len(rows), 'num_points': num_points}
