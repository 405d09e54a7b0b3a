"""Tests verdicts on handmade scores."""

import numpy as np
import pytest

from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import verdicts

NAMES = 'raw pixels', 'untrained', 'trained'


def make_rows(value, floor=10.0, num_clips=8, **changes):
  """Returns rows in which each score is `value`, or else that in `changes`."""
  rows = []
  for _ in range(num_clips):
    row = {}
    for task in benchmark.TASKS:
      row |= {
          task.name: changes.get(task.name, value),
          f'{task.name}_floor': floor,
      }
      row |= {task.weight: 2} if task.weight else {}
    rows.append(row)
  return rows


def make_masks(trained, **others):
  """Returns results of two scenes with the given J&F."""
  return {
      name: {
          'j_and_f': value,
          'j': value,
          'by_scene': [{'j_and_f': value, 'num_objects': 3}] * 2,
      }
      for name, value in ({'trained': trained} | others).items()
  }


def test_gains_are_positive_where_lower_scores_are_better():
  tasks = verdicts.compare_tasks(
      {
          'trained': make_rows(20.0),
          'untrained': make_rows(15.0),
          'raw pixels': make_rows(20.0),
      }
  )
  assert tasks.keys() == {task.name for task in benchmark.TASKS}
  for task in benchmark.TASKS:
    untrained, raw, baseline = tasks[task.name]
    sign = -1 if task.lower_is_better else 1
    assert untrained == ('untrained', *[5 * sign] * 3)
    assert baseline == ('the baseline', *[10 * sign] * 3)
    assert untrained.verdict == ('worse' if sign < 0 else 'better')
    assert raw.gain == 0 and raw.verdict == 'level'


def test_an_interval_that_includes_zero_gives_the_verdict_level():
  trained, untrained = make_rows(20.0), make_rows(20.0)
  for i, row in enumerate(trained):
    row['points_aj'] += 1 if i % 2 else -0.9
  rows = {'trained': trained, 'untrained': untrained, 'raw pixels': untrained}
  comparison = verdicts.compare_tasks(rows)['points_aj'][0]
  assert comparison.low < 0 < comparison.gain < comparison.high
  assert comparison.verdict == 'level'


def test_a_task_without_scores_has_no_comparisons():
  rows = make_rows(20.0, boxes_iou=np.nan)
  tasks = verdicts.compare_tasks(dict.fromkeys(NAMES, rows))
  assert tasks['boxes_iou'] == [] and len(tasks['points_aj']) == 3


def test_compare_masks_compares_with_all_other_results_in_order():
  found = verdicts.compare_masks(make_masks(0.5, other=0.25, stay=0.75))
  assert [(x.against, x.gain, x.verdict) for x in found] == [
      ('other', 0.25, 'better'),
      ('stay', -0.25, 'worse'),
  ]


def test_sentences_say_what_is_better_and_what_is_not():
  rows = {
      'trained': make_rows(20.0, points_aj=30.0),
      'untrained': make_rows(20.0, depth_abs_rel=25.0),
      'raw pixels': make_rows(25.0, depth_abs_rel=20.0, pose_epe=20.0),
  }
  masks = make_masks(0.2, other=0.1, stay=0.3)
  adds, lacks = verdicts.summarise(
      verdicts.compare_tasks(rows), verdicts.compare_masks(masks), masks
  )
  assert (
      'Better than the untrained network in 2 of 8 scores: points, depth.'
      in adds
  )
  assert 'Better than raw pixels in 1 of 8 scores: points.' in adds
  masks_are = 'Tracked masks have a J&F of 0.200, which is'
  assert f'{masks_are} better than other (0.100).' in adds
  assert f'{masks_are} worse than stay (0.300).' in lacks
  assert 'Level with raw pixels in 2 of 8 scores: depth, camera pose.' in lacks
  (worse,) = [x for x in lacks if 'Worse than the baseline' in x]
  assert worse.endswith('in 2 of 8 scores: depth, camera pose.')


@pytest.mark.parametrize('trained, says_nothing', [(0.5, 1), (0.1, 0)])
def test_a_side_without_comparisons_says_so(trained, says_nothing):
  masks = make_masks(trained, other=0.3)
  sides = verdicts.summarise({}, verdicts.compare_masks(masks), masks)
  assert len(sides[says_nothing]) == len(sides[1 - says_nothing]) == 1
  assert 'that it is compared with' in sides[says_nothing][0]
