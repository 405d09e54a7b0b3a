"""What the demo's page says about each score: meaning, intervals, verdict."""

from collections.abc import Mapping, Sequence
import html

from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import verdicts

# What a score means and how it is predicted, by the name of its task.
MEANINGS = {
    'motion_top1': (
        'The camera moves in one of eight ways, such as towards the scene or'
        ' around it. This is the share of clips in which it is named.'
    ),
    'motion_direction': (
        'The eight ways are four pairs of a motion and its reverse. This is the'
        ' share of clips in which the right one of its pair is chosen, which'
        ' only the order of the frames tells.'
    ),
    'points_aj': (
        'Points of the first frame are looked for in the later ones. This is'
        ' how many are found within a few pixels, and known to be in view.'
    ),
    'points_hidden': (
        'Of two points, one hidden and one in view, how often the hidden one is'
        ' taken for the hidden one.'
    ),
    'boxes_iou': (
        'Boxes around objects are followed from the first frame on. This is how'
        ' much of the predicted and the true box is common to both.'
    ),
    'masks_j_and_f': (
        'Masks of objects are followed from the first frame on by the'
        ' similarity of features alone. This is how well regions and outlines'
        ' agree with the truth.'
    ),
    'depth_abs_rel': (
        'The distance of every pixel is predicted from the features of its'
        ' patch. This is how far off it is, relative to the true distance.'
    ),
    'pose_epe': (
        'The camera’s movement from the first frame to the last is predicted.'
        ' This is how far points in front of it end up from where they belong.'
    ),
}


def draw(
    task: benchmark.SceneTask,
    scores: Mapping[str, Mapping[str, float]],
    comparisons: Sequence[verdicts.Comparison],
) -> str:
  """Returns what the page says about one score, as HTML.

  Args:
    task: the task of the score.
    scores: scores of `benchmark.evaluate` by the name of the features.
    comparisons: comparisons of the trained network in this task, as
      `verdicts.compare_tasks` returns them; none if no clip has a score.
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
    baselines['baseline: they stay, at full resolution'] = stay
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
  """Returns a table that draws each score and its interval on one scale."""
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
  """Returns the attribute of a table's row that makes `trained` stand out."""
  return ' class="trained"' if name == verdicts.TRAINED else ''


def format_interval(low: float, high: float, form: str) -> str:
  """Returns an interval as text, both ends in the given format."""
  return f'{low:{form}} to {high:{form}}'
