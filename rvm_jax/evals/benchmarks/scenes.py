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
from rvm_jax.evals import labels
from rvm_jax.evals import report
from rvm_jax.evals.benchmarks import pictures
from rvm_jax.evals.benchmarks import propagation as propagation_lib
from rvm_jax.evals.benchmarks import readout
from rvm_jax.evals.datasets import scenes
from rvm_jax.evals.metrics import boxes as boxes_metric
from rvm_jax.evals.metrics import depth as depth_metric
from rvm_jax.evals.metrics import intervals
from rvm_jax.evals.metrics import points as points_metric
from rvm_jax.evals.metrics import poses as poses_metric
from rvm_jax.evals.metrics import regions
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
    Task('points_occlusion', 'points, occlusion (%)', 'all visible'),
    Task('boxes_iou', 'boxes, mean IoU (%)', 'they stay', weight='num_boxes'),
    Task('masks_j_and_f', 'masks, J&F (%)', 'they stay', weight='num_objects'),
    Task('depth_abs_rel', 'depth, relative error (%)', 'training mean', True),
    Task('pose_epe', 'camera, end-point error (cm)', 'training mean', True),
)
HEADLINE = 'masks_j_and_f'


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
    is_ceiling: bool,
) -> report.Report:
  """Scores an encoder on held-out scenes.

  Args:
    model: the encoder.
    workdir: see `readout.evaluate`.
    clips: settings of `datasets.scenes.Clips`, but the split.
    num_train: clips to fit readouts to.
    num_test: clips to score them on.
    num_workers: processes that draw clips; 0 for this one.
    width: of the heads, see `readouts.local`.
    propagation: settings of `labelprop.propagate`.
    features, training: see `readout.evaluate`.
    is_ceiling: score features that are made of the truth instead of the
      model's, see `know_all`.

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
  data = scenes.fingerprint(test)
  logging.info('Clips are drawn: %s', data)
  if is_ceiling:
    model = know_all([*train, *test], model.patch)
  size = clips['size']
  metric = lambda score, headline, lower=False: readout.Metric(
      score, functools.partial(_mean_of, headline), headline, lower
  )
  typical = _find_typical(train)
  readouts = {
      'motion': (
          local.ClassificationHead(len(scenes.MOTIONS), width),
          metric(_score_motion, 'motion_top1'),
      ),
      'points': (
          local.PointsHead(width, size),
          metric(_score_points, 'points_aj'),
      ),
      'boxes': (
          local.BoxesHead(width, size), metric(_score_boxes, 'boxes_iou')
      ),
      'depth': (
          local.DepthHead(width, size),
          metric(
              functools.partial(_score_depth, typical), 'depth_abs_rel', True
          ),
      ),
      'pose': (
          local.PoseHead(width),
          metric(functools.partial(_score_pose, typical), 'pose_epe', True),
      ),
  }
  rows = [{'clip': record.name} for record in test]
  pictures_, notes = {}, []
  for name, (head, scored) in readouts.items():
    found = readout.evaluate(
        model, head, train, test, scored,
        name=name, workdir=workdir, features=features, training=training,
        examples=dict.fromkeys(
            ('train', 'test'), dict(clips) | {'held_out': data}
        ),
    )
    for row, more in zip(rows, found.rows, strict=True):
      row.update(more)
    notes += [f'{name}: {note}' for note in found.notes]
    if name in _DRAW:
      for shown in found.shown:
        pictures_[f'{name}_{shown.name}'] = _DRAW[name](shown)
  for index, (row, more, sheet) in enumerate(
      _carry_masks(model, test, rows, propagation)
  ):
    row.update(more)
    if index in propagation_lib.choose_shown(len(test)):
      pictures_[f'masks_{row["clip"]}'] = sheet()
  scores = summarise(rows)
  return report.Report(
      task='Scenes masks, J&F (%)',
      headline=HEADLINE,
      scores=scores,
      rows=rows,
      pictures=pictures_,
      files=(),
      notes=[
          f'the held-out clips are {data}',
          *['features are made of the truth: a ceiling'] * is_ceiling,
          *notes,
      ],
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


def know_all(records: Sequence[scenes.Record], patch: int) -> features_lib.Model:
  """Features made of the truth, for ceilings: they know these clips alone.

  Of each patch: which object it shows and which part of it, or which place of
  the room; its depth; and where the camera is.

  Args:
    records: clips that will be asked for.
    patch: side of a patch in pixels.
  """
  known = {r.example['frames'].tobytes(): r.example for r in records}

  def encode(frames):
    return features_lib.Features(
        np.stack([
            _describe(known[clip.tobytes()], patch) if clip.tobytes() in known
            else np.zeros(_describe(records[0].example, patch).shape)
            for clip in frames
        ]).astype(np.float32),
        None,
    )

  return features_lib.Model(
      'the truth', f'truth:{scenes.fingerprint(records)}', patch,
      'not looked at', encode,
  )


def _describe(example, patch):
  """float [T, h, w, D]: what is true of each patch."""
  segments, depth = example['segments'], example['depth']
  num_frames, height, width = segments.shape
  grid = height // patch, width // patch
  centre = lambda x: x[:, patch // 2 :: patch, patch // 2 :: patch]
  far = np.where(centre(depth) > 0, centre(depth), 20.0)
  rows, columns = np.mgrid[: grid[0], : grid[1]]
  rays = np.stack([columns, rows, np.ones_like(rows)], -1).astype(float)
  rays[..., :2] = rays[..., :2] * patch + patch / 2 + 0.5
  rays = rays @ np.linalg.inv(example['lens']).T
  seen = rays * far[..., None]  # [T, h, w, 3], in each camera's axes.
  moves = example['cameras'].reshape(num_frames, 12)
  rotation = moves[:, :9].reshape(-1, 3, 3)
  offset = seen - moves[:, None, None, 9:]
  room = np.einsum('tji,thwj->thwi', rotation, offset)  # In the first one's.
  shares = segments.reshape(num_frames, grid[0], patch, grid[1], patch)
  kinds = np.arange(1 + scenes.MAX_OBJECTS)
  shares = (shares[..., None] == kinds).mean((2, 4))
  waves = np.concatenate(
      [f(room * rate) for rate in (1.0, 2.5) for f in (np.sin, np.cos)], -1
  )
  waves *= shares[..., :1]
  camera = np.broadcast_to(
      moves[:, None, None], (num_frames, *grid, 12)
  )
  return np.concatenate(
      [3 * shares, waves, np.log(far)[..., None], 0.5 * camera], -1
  )


def _find_typical(records):
  """What to answer without looking: mean log depth and camera."""
  depth = np.stack([r.example['depth'] for r in records])
  known = depth > 0
  logs = np.where(known, np.log(np.where(known, depth, 1)), 0).sum((0, 1))
  mean = np.exp(logs / np.maximum(known.sum((0, 1)), 1))
  return {
      'depth': mean, 'pose': np.mean([r.example['pose'] for r in records], 0)
  }


def _mean_of(headline, rows):
  """The plain mean over clips, by which a learning rate would be chosen."""
  return {headline: float(np.nanmean([row[headline] for row in rows]))}


def _score_motion(record, truth, predicted):
  label, chances = int(truth['label']), predicted['probabilities']
  return {
      'motion_top1': 100.0 * (chances.argmax() == label),
      'motion_top1_floor': 100 / len(chances),
      # Motions come in pairs, each the other backwards.
      'motion_direction': 100.0 * (chances[label] > chances[label ^ 1]),
      'motion_direction_floor': 50.0,
  }


def _score_points(record, truth, predicted):
  tracks, visible = truth['tracks'], truth['visible']
  score = functools.partial(
      points_metric.score, tracks, visible,
      query_frames=np.zeros(len(tracks), int), query_mode='first',
      # So that thresholds are in pixels of the frames as they are: on 256 x
      # 256, all but the widest are finer than a tenth of a patch.
      height=256, width=256,
  )
  found = score(
      predicted=predicted['tracks'], predicted_visible=predicted['visible']
  )
  floor = score(
      predicted=np.broadcast_to(tracks[:, :1], tracks.shape),
      predicted_visible=np.ones_like(visible),
  )
  return {
      f'points_{name}{end}': 100 * scores[key]
      for name, key in (
          ('aj', 'average_jaccard'),
          ('position', 'average_pts_within_thresh'),
          ('occlusion', 'occlusion_accuracy'),
      )
      for end, scores in (('', found), ('_floor', floor))
  }


def _score_boxes(record, truth, predicted):
  boxes = truth['boxes']
  found = boxes_metric.track_iou(boxes, predicted['boxes'])
  floor = boxes_metric.track_iou(
      boxes, np.broadcast_to(boxes[:, :1], boxes.shape)
  )
  num = int(np.isfinite(found).sum())
  mean = lambda x: 100 * float(np.nanmean(x)) if num else float('nan')
  return {
      'num_boxes': num, 'boxes_iou': mean(found), 'boxes_iou_floor': mean(floor)
  }


def _score_depth(typical, record, truth, predicted):
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


def _score_pose(typical, record, truth, predicted):
  error = lambda pose: 100 * float(poses_metric.end_point_error(
      truth['pose'], pose, poses_metric.points_ahead()
  ))
  return {
      'pose_epe': error(predicted['pose']),
      'pose_epe_floor': error(typical['pose']),
  }


def _carry_masks(model, test, rows, settings):
  """Yields of each clip its row, scores and a function that draws them."""
  for record, row in zip(test, rows):
    frames, true = record.example['frames'], record.example['segments']
    size = frames.shape[1:3]
    numbers = np.arange(1 + true[0].max(), dtype=np.uint8)
    features = propagation_lib.encode(model, frames, size)
    found = propagation_lib.carry_masks(
        features, true[0], numbers, size, settings
    )
    whole = _coarsen(true, numbers, size, features.shape[1:3])
    still = np.broadcast_to(whole[:1], true.shape)
    scores = {'num_objects': len(numbers) - 1}
    for end, masks in (('', found), ('_floor', still), ('_ceiling', whole)):
      scores |= {
          f'masks_{key}{end}': value
          for key, value in _score_masks(true, masks, numbers[1:]).items()
      }
    yield row, scores, functools.partial(
        propagation_lib.draw_masks, frames, true, found
    )


def _coarsen(true, numbers, size, grid):
  """The true masks as a grid of patches can hold them."""
  soft = np.stack([labels.encode(m, numbers, size, grid) for m in true])
  return labels.decode(soft, numbers, size, size)


def _score_masks(true, found, numbers):
  """J and F of the frames after the first, in %, means over objects."""
  pairs = [(true[1:] == n, found[1:] == n) for n in numbers]
  mean = lambda measure: 100 * float(
      np.mean([measure(*pair).mean() for pair in pairs]) if pairs else np.nan
  )
  j, f = mean(regions.jaccard), mean(regions.boundary_f)
  return {'j': j, 'f': f, 'j_and_f': (j + f) / 2}


_DRAW = {
    'motion': functools.partial(pictures.draw_class, names=scenes.MOTIONS),
    'points': pictures.draw_points,
    'boxes': pictures.draw_boxes,
    'depth': pictures.draw_depth,
}
