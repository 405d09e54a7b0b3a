"""Top-1 accuracy of videos by a trained readout: SSv2 and Kinetics."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.benchmarks import clips
from rvm_jax.evals.benchmarks import pictures
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import task as task_lib
from rvm_jax.evals.heads import classification
from rvm_jax.evals.metrics import accuracy


def evaluate(
    model: encoder_lib.FrozenEncoder,
    splits: clips.Splits,
    classes: Sequence[str],
    *,
    task: str,
    num_known: int,
    workdir: str,
    head: Mapping[str, Any],
    features: Mapping[str, Any],
    training: Mapping[str, Any],
) -> report.Report:
  """Fits a readout to clips and scores it on videos.

  'top_1' is the percentage of videos of which the true class is the most
  probable, on average over their clips.

  Args:
    model: the encoder.
    splits: of `datasets.labelled`.
    classes: their names.
    task: column of the table.
    num_known: classes of the public release; a note says if there are others.
    workdir, features, training: see `readout.evaluate`.
    head: settings of `ClassificationHead`.

  Returns:
    A report with a row for each video.

  Raises:
    ValueError: see `readout.evaluate`.
  """
  notes = list(splits.notes)
  if len(classes) != num_known:
    notes.append(f'{len(classes)} classes, not {num_known}')
  found = task_lib.evaluate(
      model,
      classification.ClassificationHead(num_classes=len(classes), **head),
      splits.train,
      splits.test,
      task_lib.Metric(_score_clip, _summarise, 'top_1'),
      name='classification',
      workdir=workdir,
      examples=splits.settings,
      features=features,
      training=training,
  )
  rows = [
      {
          'video': name,
          'class': classes[label],
          'found': classes[probabilities.mean(0).argmax()],
          'num_clips': len(probabilities),
      }
      for name, label, probabilities in _group(found.rows)
  ]
  return report.Report(
      task=task,
      headline='top_1',
      scores=found.scores,
      rows=rows,
      pictures={
          shown.name.replace('/', '_'): pictures.draw_class(shown, classes)
          for shown in found.shown
      },
      files=splits.files,
      notes=notes + list(found.notes),
  )


def _score_clip(record, truth, predicted):
  return {
      'video': record.video_name,
      'label': int(truth['label']),
      'probabilities': predicted['probabilities'],
  }


def _summarise(rows):
  is_right = [
      accuracy.top_1(probabilities[None], np.array([label]))[0]
      for _, label, probabilities in _group(rows)
  ]
  return {'top_1': 100 * float(np.mean(is_right)), 'num_videos': len(is_right)}


def _group(rows):
  """Name, label and probabilities [clips, K] of each video."""
  videos = {}
  for row in rows:
    key = row['video'], row['label']
    videos.setdefault(key, []).append(row['probabilities'])
  return [(*key, np.stack(found)) for key, found in videos.items()]
