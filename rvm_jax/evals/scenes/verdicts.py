"""Says whether a trained network is better or worse than others.

The network and the others are scored on the same clips, and their differences
are paired by clip. If the 95 % interval of a difference includes zero, the
verdict is 'level'.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rvm_jax.evals.metrics import intervals
from rvm_jax.evals.scenes import benchmark

# Names of the encoders that are compared, and of the baseline.
TRAINED, UNTRAINED, RAW = 'trained', 'untrained', 'raw pixels'
BASELINE = 'the baseline'
# The verdicts.
BETTER, WORSE, LEVEL = 'better', 'worse', 'level'

# How a sentence states each verdict.
_RELATIONS = {
    BETTER: 'Better than',
    WORSE: 'Worse than',
    LEVEL: 'Level with',
}
# How a sentence names what the trained network is compared with.
_WORDS = {
    UNTRAINED: 'the untrained network',
    RAW: 'raw pixels',
    BASELINE: 'the baseline that ignores the video',
}
# How a sentence names the tasks.
_NAMES = {
    'motion_top1': 'camera motion',
    'motion_direction': 'direction of motion',
    'points_aj': 'points',
    'points_hidden': 'hidden points',
    'boxes_iou': 'boxes',
    'masks_j_and_f': 'masks',
    'depth_abs_rel': 'depth',
    'pose_epe': 'camera pose',
}


class Comparison(NamedTuple):
  """A comparison of the trained network with something else on the same clips.

  Attributes:
    against: name of what the trained network is compared with.
    gain: mean difference of the scores, in their unit. It is positive if the
      trained network is better, even if lower scores are better.
    low: low end of the 95 % interval of the gain.
    high: high end of the 95 % interval of the gain.
  """

  against: str
  gain: float
  low: float
  high: float

  @property
  def verdict(self) -> str:
    """BETTER or WORSE if the interval excludes zero, else LEVEL."""
    if self.low > 0:
      return BETTER
    return WORSE if self.high < 0 else LEVEL


def compare_tasks(
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, list[Comparison]]:
  """Compares the scores of the tasks on generated scenes.

  Args:
    rows: for TRAINED, UNTRAINED and RAW, the `rows` in the report of
      `benchmark.evaluate`, all of the same clips.

  Returns:
    For the name of each task in `benchmark.TASKS`, the comparisons with
    UNTRAINED, RAW and BASELINE, in this order; an empty list if no clip has a
    score.
  """
  comparisons = {}
  for task in benchmark.TASKS:
    trained = _column(rows[TRAINED], task.name)
    weights = _column(rows[TRAINED], task.weight) if task.weight else None
    others = {
        UNTRAINED: _column(rows[UNTRAINED], task.name),
        RAW: _column(rows[RAW], task.name),
        BASELINE: _column(rows[TRAINED], f'{task.name}_floor'),
    }
    comparisons[task.name] = [
        _compare(name, trained, other, weights, task.lower_is_better)
        for name, other in others.items()
        if np.isfinite(trained).any()
    ]
  return comparisons


def compare_masks(
    results: Mapping[str, Mapping[str, Any]],
) -> list[Comparison]:
  """Compares J&F of propagated masks.

  Args:
    results: results of `masks.score_all` for the same scenes, by name. TRAINED
      is one of the names.

  Returns:
    A comparison with each of the other results, in their order.
  """
  trained = results[TRAINED]['by_scene']
  weights = _column(trained, 'num_objects')
  return [
      _compare(
          name,
          _column(trained, 'j_and_f'),
          _column(result['by_scene'], 'j_and_f'),
          weights,
      )
      for name, result in results.items()
      if name != TRAINED
  ]


def summarise(
    tasks: Mapping[str, Sequence[Comparison]],
    masks: Sequence[Comparison],
    results: Mapping[str, Mapping[str, Any]],
) -> tuple[list[str], list[str]]:
  """Writes sentences on what training adds, and on what it does not add yet.

  Args:
    tasks: comparisons of the tasks, as returned by `compare_tasks`.
    masks: comparisons of the masks, as returned by `compare_masks`.
    results: the argument of `compare_masks` that gave `masks`.

  Returns:
    Sentences on what the trained network is better than; and sentences on what
    it is worse than or level with. If all comparisons are on one side, the
    other has a sentence that says so.
  """
  said: dict[str, list[str]] = {verdict: [] for verdict in _RELATIONS}
  num_tasks = sum(bool(found) for found in tasks.values())
  for against in (UNTRAINED, RAW, BASELINE):
    for verdict, relation in _RELATIONS.items():
      names = [
          _NAMES[task]
          for task, found in tasks.items()
          for comparison in found
          if comparison.against == against and comparison.verdict == verdict
      ]
      if names:
        said[verdict].append(
            f'{relation} {_WORDS[against]} in {len(names)} of {num_tasks}'
            f' scores: {", ".join(names)}.'
        )
  trained = results[TRAINED]['j_and_f']
  for verdict, relation in _RELATIONS.items():
    names = [
        f'{comparison.against} ({results[comparison.against]["j_and_f"]:.3f})'
        for comparison in masks
        if comparison.verdict == verdict
    ]
    if names:
      said[verdict].append(
          f'Tracked masks have a J&F of {trained:.3f}, which is'
          f' {relation.lower()} {", ".join(names)}.'
      )
  if not said[BETTER]:
    said[BETTER] = ['No score is better than any that it is compared with.']
  lacks = said[WORSE] + said[LEVEL]
  if not lacks:
    lacks = ['Every score is better than all that it is compared with.']
  return said[BETTER], lacks


def _compare(against, trained, other, weights, lower_is_better=False):
  """Compares the scores of two encoders, float [S] each, paired by scene."""
  gain, low, high = intervals.difference(other, trained, weights)
  if lower_is_better:
    gain, low, high = -gain, -high, -low
  return Comparison(against, gain, low, high)


def _column(rows, key):
  """Returns the values of a key in all rows, float [S]."""
  return np.array([row[key] for row in rows], float)
