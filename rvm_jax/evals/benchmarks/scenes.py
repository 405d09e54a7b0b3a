"""Generated scenes: every task at once, with nothing to download.

Each task has a score with a 95 % interval over scenes, and two numbers that say
what it is worth: what one gets without looking (`floor`) and, where it is not
100 % or 0, what is possible (`ceiling`). See docs/scenes.md.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any, NamedTuple

from absl import logging
import numpy as np

from rvm_jax.evals import features as features_lib
from rvm_jax.evals import report
from rvm_jax.evals.benchmarks import pictures
from rvm_jax.evals.benchmarks import propagation as propagation_lib
from rvm_jax.evals.benchmarks import readout
from rvm_jax.evals.benchmarks import scene_masks
from rvm_jax.evals.benchmarks import scene_scores
from rvm_jax.evals.benchmarks import scene_truth
from rvm_jax.evals.datasets import scenes
from rvm_jax.evals.metrics import intervals
from rvm_jax.evals.readouts import local


class Task(NamedTuple):
  """A line of the table.

  Attributes:
    name: of the scores `NAME`, `NAME_low`, `NAME_high`, `NAME_floor`.
    text: for people, with the unit.
    floor: what the floor is.
    lower_is_better: of the score.
    weight: key in a row: how much a scene counts; None for 1.
  """

  name: str
  text: str
  floor: str
  lower_is_better: bool = False
  weight: str | None = None


TASKS = (
    Task('motion_top1', 'motion, top-1 of 8 (%)', 'chance'),
    Task('motion_direction', 'motion, its direction (%)', 'chance'),
    Task('points_aj', 'points, average Jaccard (%)', 'they stay'),
    Task('points_hidden', 'points, hidden ones told (%)', 'chance'),
    Task('boxes_iou', 'boxes, mean IoU (%)', 'they stay', weight='num_boxes'),
    Task('masks_j_and_f', 'masks, J&F (%)', 'they stay', weight='num_objects'),
    Task('depth_abs_rel', 'depth, relative error (%)', 'training mean', True),
    Task('pose_epe', 'camera, end-point error (cm)', 'training mean', True),
)
HEADLINE = 'masks_j_and_f'
_ENCODED_AT_ONCE = 16  # Clips.


def evaluate(
    model: features_lib.Model,
    *,
    workdir: str,
    clips: Mapping[str, Any],
    num_train: int,
    num_test: int,
    num_workers: int,
    width: int,
    propagation: Mapping[str, Any],
    features: Mapping[str, Any],
    training: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on held-out scenes.

  Args:
    model: the encoder; for a ceiling `features.the_truth`.
    workdir: see `readout.evaluate`.
    clips: settings of `datasets.scenes.Clips`, but the split.
    num_train: clips to fit readouts to.
    num_test: clips to score them on.
    num_workers: processes that draw clips; 0 for this one.
    width: of the heads, see `readouts.local`.
    propagation: settings of `labelprop.propagate`.
    features, training: see `readout.evaluate`.

  Returns:
    A report with a row for each held-out clip.

  Raises:
    ValueError: settings that do not fit together, or the workdir is of
      something else.
  """
  draw = lambda split, num: scenes.read(
      scenes.Clips(split, **clips), num, num_workers
  )
  train, test = draw('train', num_train), draw('held_out', num_test)
  data = scenes.fingerprint([*train, *test])
  logging.info('Clips are drawn: %s', data)
  if model.is_truth:
    model = scene_truth.tell(model, [*train, *test])
  readouts = _list_readouts(
      width, clips['size'], scene_scores.find_typical(train)
  )
  rows = [{'clip': record.name} for record in test]
  pictures_, notes = {}, []
  for name, (head, scored) in readouts.items():
    found = readout.evaluate(
        model, head, train, test, scored,
        name=name, workdir=workdir, features=features, training=training,
        examples=dict.fromkeys(
            ('train', 'test'), dict(clips) | {'drawn': data}
        ),
    )
    for row, more in zip(rows, found.rows, strict=True):
      row.update(more)
    notes += [f'{name}: {note}' for note in found.notes]
    if name in _DRAW:
      for shown in found.shown:
        pictures_[f'{name}_{shown.name}'] = _DRAW[name](shown)
  clips_ = [(r.example['frames'], r.example['segments']) for r in test]
  carried = scene_masks.carry(
      model, *zip(*clips_), propagation, batch=_ENCODED_AT_ONCE
  )
  chosen = propagation_lib.choose_shown(len(test))
  for index, (row, (frames, true), found) in enumerate(
      zip(rows, clips_, carried, strict=True)
  ):
    row.update(scene_scores.score_masks(true, found, model.patch))
    if index in chosen:
      pictures_[f'masks_{row["clip"]}'] = propagation_lib.draw_masks(
          frames, true, found
      )
  scores = summarise(rows)
  return report.Report(
      task='Scenes masks, J&F (%)',
      headline=HEADLINE,
      scores=scores,
      rows=rows,
      pictures=pictures_,
      files=(),
      notes=notes,
      generated=data,
      columns=[(f'Scenes {t.text}', t.name, t.lower_is_better) for t in TASKS],
      lines=tabulate(scores),
  )


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
  """Scores and floors over scenes, and the intervals of the scores.

  Args:
    rows: of the held-out clips.
  """
  scores = {}
  for task in TASKS:
    column = lambda key: np.array([row[key] for row in rows], float)
    weights = column(task.weight) if task.weight else None
    values = column(task.name)
    low, high = intervals.interval(values, weights)
    scores[task.name] = intervals.mean(values, weights)
    scores[f'{task.name}_low'], scores[f'{task.name}_high'] = low, high
    scores[f'{task.name}_floor'] = intervals.mean(
        column(f'{task.name}_floor'), weights
    )
  weights = column('num_objects')
  scores['masks_j_and_f_ceiling'] = intervals.mean(
      column('masks_j_and_f_ceiling'), weights
  )
  return scores


def tabulate(scores: Mapping[str, float]) -> list[str]:
  """The lines of a table for people."""
  lines = [f'{"":30s} {"score":>6s}  {"95 % interval":15s} {"floor":>6s}']
  for task in TASKS:
    low, high = (scores[f'{task.name}_{end}'] for end in ('low', 'high'))
    arrow = ', lower is better' * task.lower_is_better
    lines.append(
        f'{task.text:30s} {scores[task.name]:6.1f}  {low:6.1f} to {high:5.1f}'
        f' {scores[task.name + "_floor"]:7.1f} ({task.floor}){arrow}'
    )
  return lines


def _list_readouts(width, size, typical):
  """By name, a head and how it is scored."""
  metric = lambda score, headline, lower=False: readout.Metric(
      score, functools.partial(_mean_of, headline), headline, lower
  )
  score_depth, score_pose = (
      functools.partial(score, typical)
      for score in (scene_scores.score_depth, scene_scores.score_pose)
  )
  return {
      'motion': (
          local.ClassificationHead(len(scenes.MOTIONS), width),
          metric(scene_scores.score_motion, 'motion_top1'),
      ),
      'points': (
          local.PointsHead(width, size),
          metric(scene_scores.score_points, 'points_aj'),
      ),
      'boxes': (
          local.BoxesHead(width, size),
          metric(scene_scores.score_boxes, 'boxes_iou'),
      ),
      'depth': (
          local.DepthHead(width, size),
          metric(score_depth, 'depth_abs_rel', True),
      ),
      'pose': (local.PoseHead(), metric(score_pose, 'pose_epe', True)),
  }


def _mean_of(headline, rows):
  """The plain mean over clips, by which a learning rate would be chosen."""
  return {headline: float(np.nanmean([row[headline] for row in rows]))}


_DRAW = {
    'motion': functools.partial(pictures.draw_class, names=scenes.MOTIONS),
    'points': pictures.draw_points,
    'boxes': pictures.draw_boxes,
    'depth': pictures.draw_depth,
}
