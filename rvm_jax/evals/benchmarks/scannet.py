"""ScanNet: depth of every pixel of clips, by a trained readout."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.benchmarks import clips
from rvm_jax.evals.benchmarks import pictures
from rvm_jax.evals.datasets import scannet
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import task
from rvm_jax.evals.heads import depth
from rvm_jax.evals.metrics import depth as metric


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
  """Scores an encoder on clips of the validation scans.

  'abs_rel' is the mean relative error over all pixels of known depth, and
  'abs_rel_by_frame' over those of a frame, then over frames: which of them the
  paper reports is not known. 'delta_1' is the percentage of these pixels within
  a factor of 1.25.

  Args:
    model: the encoder.
    data_dir: see `datasets.scannet`.
    workdir: see `readout.evaluate`.
    sampling, train, test: how scans are cut, see `clips.read`.
    head: settings of `DepthHead`.
    features, training: see `readout.evaluate`.

  Returns:
    A report with a row for each clip.

  Raises:
    FileNotFoundError: something of the data set is missing.
    ValueError: broken files, or settings that do not fit together.
  """
  splits = clips.read(
      scannet.read, data_dir, ('train', 'val'), sampling, train, test
  )
  size = {key: sampling[key] for key in ('height', 'width')}
  found = task.evaluate(
      model,
      depth.DepthHead(**size, **head),
      splits.train,
      splits.test,
      task.Metric(_score_clip, _summarise, 'abs_rel', lower_is_better=True),
      name='depth',
      workdir=workdir,
      examples=splits.settings,
      features=features,
      training=training,
  )
  return report.Report(
      task='ScanNet AbsRel',
      headline='abs_rel',
      scores=found.scores,
      rows=found.rows,
      pictures={s.name: pictures.draw_depth(s) for s in found.shown},
      files=splits.files,
      notes=[*splits.notes, *found.notes],
      lower_is_better=True,
  )


def _score_clip(record, truth, predicted):
  by_frame = metric.score(truth['depth'], predicted['depth'])
  known = by_frame['num_pixels'] > 0
  by_frame['delta_1'] = 100 * by_frame['delta_1']
  return {
      'clip': record.name,
      'num_frames': int(known.sum()),
      'num_pixels': int(by_frame['num_pixels'].sum()),
      'sum_abs_rel_by_frame': float(by_frame['abs_rel'][known].sum()),
  } | metric.pool(by_frame)


def _summarise(rows):
  columns = {
      key: np.array([row[key] for row in rows])
      for key in ('abs_rel', 'delta_1', 'num_pixels')
  }
  if not columns['num_pixels'].any():
    raise ValueError('no pixel of any clip has a known depth')
  pooled = metric.pool(columns)
  num_frames = sum(row['num_frames'] for row in rows)
  return {
      'abs_rel': pooled['abs_rel'],
      'abs_rel_by_frame': sum(r['sum_abs_rel_by_frame'] for r in rows)
      / num_frames,
      'delta_1': pooled['delta_1'],
      'num_clips': len(rows),
      'num_frames': num_frames,
  }
