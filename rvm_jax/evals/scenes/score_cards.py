"""Writes the part of the demo's page about each score, a card.

A card says what the score means, shows intervals, and gives verdicts.
"""

from collections.abc import Mapping, Sequence
import html

from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import verdicts

# For the name of each task, what is predicted and what the score means.
MEANINGS = {
    'motion_top1': (
        'The camera moves in one of eight ways, such as towards the scene or'
        ' around it. The score is the share of clips in which the right one of'
        ' the eight is predicted.'
    ),
    'motion_direction': (
        'The eight ways are four pairs of a motion and its reverse. The score'
        ' is the share of clips in which the right motion is preferred to its'
        ' reverse. This takes the order of the frames.'
    ),
    'points_aj': (
        'Points of the first frame are looked for in the later ones. The score'
        ' is the number of points in view that are found within a few pixels,'
        ' relative to all points in view and false finds together.'
    ),
    'points_hidden': (
        'For each point, the probability that it is in view is predicted. The'
        ' score is the share of pairs of a hidden point and a point in view in'
        ' which the hidden point gets the lower probability.'
    ),
    'boxes_iou': (
        'Boxes around objects are followed from the first frame on. The score'
        ' is the area that the predicted and the true box share, divided by the'
        ' area that they cover together.'
    ),
    'masks_j_and_f': (
        'Masks of objects are followed from the first frame on by the'
        ' similarity of features alone. The score is how well regions and'
        ' outlines agree with the true masks.'
    ),
    'depth_abs_rel': (
        'The depth of every pixel is predicted from the features of its patch.'
        ' The score is the mean error, relative to the true depth.'
    ),
    'pose_epe': (
        'The camera’s movement from the first frame to the last is predicted.'
        ' The score is the mean distance between where the predicted and the'
        ' true movement take points in front of the camera.'
    ),
}


def draw(
    task: benchmark.SceneTask,
    scores: Mapping[str, Mapping[str, float]],
    comparisons: Sequence[verdicts.Comparison],
) -> str:
  """Returns the card of one score, as HTML.

  Args:
    task: the task of the score.
    scores: for the name of each encoder, such as `verdicts.TRAINED`, its
      `scores` in the report of `benchmark.evaluate`.
    comparisons: comparisons of the trained network in this task, as
      `verdicts.compare_tasks` returns them; empty if no clip has a score.
  """
  rows = {
      name: (found[task.name], found[f'{task.name}_low'])
      + (found[f'{task.name}_high'],)
      for name, found in scores.items()
  }
  trained = scores[verdicts.TRAINED]
  baselines = {f'baseline: {task.baseline}': trained[f'{task.name}_floor']}
  if f'{task.name}_stay' in trained:
    stay = trained[f'{task.name}_stay']
    baselines['baseline: masks stay, at full resolution'] = stay
  rows |= {name: (score, None, None) for name, score in baselines.items()}
  direction = 'Lower' if task.lower_is_better else 'Higher'
  if comparisons:
    table = _draw_intervals(rows)
    verdict = '; '.join(map(_say, comparisons))
    verdict = f'Trained is {verdict}.'
  else:
    table, verdict = '', 'No clip has a score.'
  name = html.escape(task.text[0].upper() + task.text[1:])
  return f"""<article><h3>{name}</h3>
<p>{MEANINGS[task.name]} <strong>{direction} is better.</strong></p>
{table}<p class="verdict">{html.escape(verdict)}</p></article>
"""


def _draw_intervals(rows):
  """Returns a table that draws each score and its interval on one scale.

  Args:
    rows: for the name of each row its score, and the low and high end of the
      interval, which are None for a row without an interval.
  """
  values = [x for row in rows.values() for x in row if x is not None]
  least, width = min(values), max(max(values) - min(values), 1e-9)

  def place(value):
    # The values take the middle 92 % of the field.
    return 4 + 92 * (value - least) / width

  lines = ''
  for name, (score, low, high) in rows.items():
    bar, interval = '', ''
    if low is not None:
      left, right = place(low), place(high)
      bar = f'<i style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
      interval = format_interval(low, high, '.1f')
    lines += (
        f'<tr{mark(name)}><th scope="row">{html.escape(name)}</th>'
        f'<td class="track">{bar}<b style="left:{place(score):.1f}%"></b></td>'
        f'<td>{score:.1f}</td><td>{interval}</td></tr>'
    )
  return f'<table class="intervals">{lines}</table>'


def _say(comparison):
  """Returns a comparison in words, with the interval of the difference."""
  against, gain, low, high = comparison
  if comparison.verdict == verdicts.BETTER:
    interval = format_interval(low, high, '.1f')
    return f'better than {against} by {gain:.1f} ({interval})'
  if comparison.verdict == verdicts.WORSE:
    interval = format_interval(-high, -low, '.1f')
    return f'worse than {against} by {-gain:.1f} ({interval})'
  return f'level with {against} ({-low:.1f} worse to {high:.1f} better)'


def mark(name: str) -> str:
  """Returns the HTML attribute that makes the row of `TRAINED` stand out.

  Args:
    name: name of the row. Other rows get no attribute.
  """
  return ' class="trained"' if name == verdicts.TRAINED else ''


def format_interval(low: float, high: float, form: str) -> str:
  """Returns an interval as text.

  Args:
    low: low end of the interval.
    high: high end of the interval.
    form: format specification of both ends, such as '.1f'.
  """
  return f'{low:{form}} to {high:{form}}'
