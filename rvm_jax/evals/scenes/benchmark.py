"""The benchmark on generated scenes: all tasks at once, nothing to download.

Each task has a score with a 95 % interval over clips, and the score of a
baseline, which is a prediction that ignores the video. For masks there is also
a ceiling, the best score that masks on a grid of patches can reach.
docs/scenes.md describes the tasks.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
import functools
from typing import Any, NamedTuple

from absl import logging
import numpy as np
import tqdm

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


class SceneTask(NamedTuple):
  """A task, which is a line in the printed table and a column in `evals.table`.

  Attributes:
    name: key of the score; its interval is in `NAME_low` and `NAME_high`, the
      baseline's score in `NAME_floor`.
    text: name of the task and unit of the score, as tables show them.
    baseline: what the baseline predicts, as tables show it.
    lower_is_better: whether a lower score is better.
    weight: key of a clip's weight in the mean over clips, which is in the
      clip's row; None if all clips weigh the same.
  """

  name: str
  text: str
  baseline: str
  lower_is_better: bool = False
  weight: str | None = None


TASKS = (
    SceneTask('motion_top1', 'motion, top-1 of 8 (%)', 'random choice'),
    SceneTask('motion_direction', 'motion, its direction (%)', 'random choice'),
    SceneTask('points_aj', 'points, average Jaccard (%)', 'points stay'),
    SceneTask(
        'points_hidden',
        'points, occlusion AUC (%)',
        'random order',
        weight='num_pairs',
    ),
    SceneTask(
        'boxes_iou', 'boxes, mean IoU (%)', 'boxes stay', weight='num_boxes'
    ),
    SceneTask(
        'masks_j_and_f',
        'masks, J&F (%)',
        'masks stay, on the grid',
        weight='num_objects',
    ),
    SceneTask(
        'depth_abs_rel', 'depth, relative error (%)', 'training mean', True
    ),
    SceneTask(
        'pose_epe', 'camera, end-point error (cm)', 'training mean', True
    ),
)
HEADLINE = 'masks_j_and_f'


def evaluate(
    encoder: encoder_lib.FrozenEncoder,
    *,
    clips: Mapping[str, Any],
    num_train: int,
    num_test: int,
    num_workers: int,
    propagation: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on held-out scenes.

  Args:
    encoder: the frozen encoder. The ground truth of the clips is revealed to it
      if it is an `Oracle`.
    clips: fields of `scenes.clips.SceneClips` by name, except for the split.
    num_train: number of clips that readouts are fitted to.
    num_test: number of held-out clips that readouts are scored on.
    num_workers: number of processes that generate clips; 0 to generate them in
      this process.
    propagation: settings of `label_propagation.propagate`.

  Returns:
    A report with a row for each held-out clip.

  Raises:
    ValueError: `num_train`, `num_test` or `clips['num_points']` is below 1, or
      `SceneClips` or `label_propagation.propagate` refuses its settings.
  """
  for key, value in (
      ('num_train', num_train),
      ('num_test', num_test),
      ('clips.num_points', clips['num_points']),
  ):
    if value < 1:
      raise ValueError(f'config.protocol.{key}={value} must be at least 1')
  splits = (
      clips_lib.SceneClips('train', **clips),
      clips_lib.SceneClips('held_out', **clips),
  )
  train, test, data = _generate(splits, (num_train, num_test), num_workers)
  logging.info(
      'Fitting readouts to %d clips, then scoring %d', num_train, num_test
  )
  if isinstance(encoder, oracle.Oracle):
    encoder = encoder.reveal([*train, *test])
  rows, pictures_ = measure(
      encoder,
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


# Clips are kept for the next encoder that is scored in this process.
@functools.lru_cache(maxsize=1)
def _generate(
    splits: tuple[clips_lib.SceneClips, clips_lib.SceneClips],
    nums: tuple[int, int],
    num_workers: int,
) -> tuple[list[clips_lib.NamedExample], list[clips_lib.NamedExample], str]:
  """Returns the first clips of two splits, and a hash over all of them."""
  with (
      clips_lib.start_workers(num_workers) as map_,
      tqdm.tqdm(desc='generating', total=sum(nums), unit=' clips') as bar,
  ):
    train, test = (
        clips_lib.generate(split, range(num), map_, bar.update)
        for split, num in zip(splits, nums, strict=True)
    )
  data = clips_lib.fingerprint([*train, *test])
  logging.info('Clips are generated: %s', data)
  return train, test, data


def measure(
    encoder: encoder_lib.FrozenEncoder,
    train: Sequence[clips_lib.NamedExample],
    test: Sequence[clips_lib.NamedExample],
    propagation: Mapping[str, Any],
    shown: Collection[str],
    check: Callable[[], None] = lambda: None,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
  """Fits readouts to some clips and scores them on others.

  Args:
    encoder: the frozen encoder.
    train: clips that readouts are fitted to.
    test: clips that readouts are scored on, of the same shape.
    propagation: settings of `label_propagation.propagate`.
    shown: names of the test clips that get pictures.
    check: function that is called every few seconds: in `readouts.fit`, and
      before each test clip is scored. It may raise an error to stop.

  Returns:
    A row of scores for each test clip, in which 'clip' is its name; and
    pictures, uint8 [height, width, 3], by names of the form TASK_CLIP.
  """
  readouts = readouts_lib.fit(encoder, train, check)
  baseline = readouts.baseline
  rows, sheets = [], {}
  for batch, features in readouts_lib.encode(encoder, test):
    predictions = readouts_lib.predict(readouts, batch, features)
    propagated = masks_lib.propagate(
        features, [example['segments'] for example in batch], propagation
    )
    for example, prediction, masks in zip(
        batch, predictions, propagated, strict=True
    ):
      check()
      name = test[len(rows)].name
      rows.append(
          {'clip': name}
          | scores_lib.score_motion(example, prediction)
          | scores_lib.score_points(example, prediction)
          | scores_lib.score_boxes(example, prediction)
          | scores_lib.score_depth(baseline, example, prediction)
          | scores_lib.score_pose(baseline, example, prediction)
          | scores_lib.score_masks(example['segments'], masks, encoder.patch)
      )
      if name in shown:
        sheets[f'masks_{name}'] = pictures_lib.draw_masks(
            example['frames'], example['segments'], masks
        )
        for task, draw in _DRAW.items():
          sheets[f'{task}_{name}'] = draw(example, prediction)
  return rows, sheets


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
  """Computes the scores over all clips.

  Args:
    rows: rows of the held-out clips, as returned by `measure`.

  Returns:
    Scores by name. For each task: the score (`NAME`), its interval (`NAME_low`
    and `NAME_high`) and the baseline's score (`NAME_floor`). For masks also the
    ceiling (`NAME_ceiling`) and the score of masks that stay at full resolution
    (`NAME_stay`). All are nan for a task in which no clip has a score.
  """

  def column(key):
    return np.array([row[key] for row in rows], float)

  scores = {}
  for task in TASKS:
    weights = column(task.weight) if task.weight else None
    values = column(task.name)
    # Columns that are averaged as the score is, but get no interval.
    others = [f'{task.name}_floor']
    others += [
        f'{task.name}_{end}'
        for end in ('stay', 'ceiling')
        if f'{task.name}_{end}' in rows[0]
    ]
    if not np.isfinite(values).any():
      keys = task.name, f'{task.name}_low', f'{task.name}_high', *others
      scores |= dict.fromkeys(keys, float('nan'))
      continue
    low, high = intervals.interval(values, weights)
    scores[task.name] = intervals.mean(values, weights)
    scores[f'{task.name}_low'], scores[f'{task.name}_high'] = low, high
    for key in others:
      scores[key] = intervals.mean(column(key), weights)
  return scores


def tabulate(scores: Mapping[str, float]) -> list[str]:
  """Returns the lines of a table for the terminal.

  Args:
    scores: scores by name, as returned by `summarise`.
  """
  lines = [f'{"":30s} {"score":>6s}  {"95 % interval":15s}{"baseline":>8s}']
  for task in TASKS:
    low, high = (scores[f'{task.name}_{end}'] for end in ('low', 'high'))
    direction = ', lower is better' if task.lower_is_better else ''
    lines.append(
        f'{task.text:30s} {scores[task.name]:6.1f}  {low:6.1f} to {high:5.1f}'
        f' {scores[task.name + "_floor"]:7.1f} ({task.baseline}){direction}'
    )
    if f'{task.name}_stay' in scores:
      stay = scores[f'{task.name}_stay']
      lines.append(f'{"":52s} {stay:7.1f} (masks stay, at full resolution)')
  return lines


_DRAW = {
    'motion': functools.partial(pictures.draw_class, names=clips_lib.MOTIONS),
    'points': pictures.draw_points,
    'boxes': pictures.draw_boxes,
    'depth': pictures.draw_depth,
}
