"""Generated scenes: every task at once, with nothing to download.

Each task has a score with a 95 % interval over scenes, and two numbers that say
what it is worth: what one gets without looking (`floor`) and, where it is not
100 % or 0, what is possible (`ceiling`). See docs/scenes.md.
"""

from collections.abc import Collection, Mapping, Sequence
import functools
from typing import Any, NamedTuple

from absl import logging
import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import pictures
from rvm_jax.evals.metrics import intervals
from rvm_jax.evals.propagation import pictures as pictures_lib
from rvm_jax.evals.scenes import clips as clips_lib
from rvm_jax.evals.scenes import masks as masks_lib
from rvm_jax.evals.scenes import oracle
from rvm_jax.evals.scenes import readouts as readouts_lib
from rvm_jax.evals.scenes import scores as scores_lib


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
    Task(
        'points_hidden',
        'points, hidden ones told (%)',
        'chance',
        weight='num_pairs',
    ),
    Task('boxes_iou', 'boxes, mean IoU (%)', 'they stay', weight='num_boxes'),
    Task('masks_j_and_f', 'masks, J&F (%)', 'they stay', weight='num_objects'),
    Task('depth_abs_rel', 'depth, relative error (%)', 'training mean', True),
    Task('pose_epe', 'camera, end-point error (cm)', 'training mean', True),
)
HEADLINE = 'masks_j_and_f'


def evaluate(
    model: encoder_lib.FrozenEncoder,
    *,
    clips: Mapping[str, Any],
    num_train: int,
    num_test: int,
    num_workers: int,
    propagation: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on held-out scenes.

  Args:
    model: the encoder; an `oracle.Oracle` is shown the ground truth.
    clips: settings of `scenes.clips.Clips`, but the split.
    num_train: clips to fit readouts to.
    num_test: clips to score them on.
    num_workers: processes that draw clips; 0 for this one.
    propagation: settings of `label_propagation.propagate`.

  Returns:
    A report with a row for each held-out clip.

  Raises:
    ValueError: settings that do not fit together.
  """
  for key, value in (
      ('num_train', num_train),
      ('num_test', num_test),
      ('clips.num_points', clips['num_points']),
  ):
    if value < 1:
      raise ValueError(f'config.protocol.{key}={value} must be at least 1')
  with clips_lib.workers(num_workers) as map_:
    train, test = (
        clips_lib.read(clips_lib.Clips(split, **clips), range(num), map_)
        for split, num in (('train', num_train), ('held_out', num_test))
    )
  data = clips_lib.fingerprint([*train, *test])
  logging.info('Clips are drawn: %s', data)
  if isinstance(model, oracle.Oracle):
    model = model.reveal([*train, *test])
  rows, pictures_ = measure(
      model,
      train,
      test,
      propagation,
      {test[number].name for number in pictures_lib.choose_shown(num_test)},
  )
  scores = summarise(rows)
  return report.Report(
      task='Scenes masks, J&F (%)',
      headline=HEADLINE,
      scores=scores,
      rows=rows,
      pictures=pictures_,
      files=(),
      generated=data,
      columns=[(f'Scenes {t.text}', t.name, t.lower_is_better) for t in TASKS],
      lines=tabulate(scores),
  )


def measure(
    model: encoder_lib.FrozenEncoder,
    train: Sequence[clips_lib.Record],
    test: Sequence[clips_lib.Record],
    propagation: Mapping[str, Any],
    shown: Collection[str],
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
  """Fits readouts to some clips and scores them on others.

  Args:
    model: the encoder.
    train, test: clips, all of one shape.
    propagation: settings of `label_propagation.propagate`.
    shown: names of the clips that get pictures.

  Returns:
    A row for each test clip, and pictures by name, uint8 [height, width, 3].
  """
  readouts = readouts_lib.fit(model, train)
  rows, sheets = [], {}
  for examples, features in readouts_lib.encode(model, test):
    answers = readouts_lib.answer(readouts, examples, features)
    carried = masks_lib.carry(
        features, [example['segments'] for example in examples], propagation
    )
    for truth, found, masks in zip(examples, answers, carried, strict=True):
      name = test[len(rows)].name
      row = {'clip': name}
      for score in (
          scores_lib.score_motion,
          scores_lib.score_points,
          scores_lib.score_boxes,
          functools.partial(scores_lib.score_depth, readouts.typical),
          functools.partial(scores_lib.score_pose, readouts.typical),
      ):
        row |= score(truth, found)
      row |= scores_lib.score_masks(truth['segments'], masks, model.patch)
      rows.append(row)
      if name in shown:
        sheets[f'masks_{name}'] = pictures_lib.draw_masks(
            truth['frames'], truth['segments'], masks
        )
        for task, draw in _DRAW.items():
          sheets[f'{task}_{name}'] = draw(truth, found)
  return rows, sheets


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
  """Scores and floors over scenes, and the intervals of the scores.

  Args:
    rows: of the held-out clips.

  Returns:
    By name; nan where no clip has a score.
  """
  scores = {}
  for task in TASKS:
    column = lambda key: np.array([row[key] for row in rows], float)
    weights = column(task.weight) if task.weight else None
    values = column(task.name)
    ends = [f'{task.name}_floor']
    if f'{task.name}_ceiling' in rows[0]:
      ends.append(f'{task.name}_ceiling')
    if not np.isfinite(values).any():
      keys = task.name, f'{task.name}_low', f'{task.name}_high', *ends
      scores |= dict.fromkeys(keys, float('nan'))
      continue
    low, high = intervals.interval(values, weights)
    scores[task.name] = intervals.mean(values, weights)
    scores[f'{task.name}_low'], scores[f'{task.name}_high'] = low, high
    for end in ends:
      scores[end] = intervals.mean(column(end), weights)
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


_DRAW = {
    'motion': functools.partial(pictures.draw_class, names=clips_lib.MOTIONS),
    'points': pictures.draw_points,
    'boxes': pictures.draw_boxes,
    'depth': pictures.draw_depth,
}
