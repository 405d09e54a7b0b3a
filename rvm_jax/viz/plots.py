"""Line plots for web pages: an SVG line, with its text in HTML around it."""

from collections.abc import Sequence
import html
import math

import numpy as np

# Least value that `draw_line` distinguishes: 0.01 %.
_LEAST = 1e-4
# Greatest number of steps on the vertical axis of `draw_curve`.
_MOST_RULES = 7


def draw_line(values: np.ndarray, first: int, label: str) -> str:
  """Draws values over frame numbers, on a logarithmic vertical axis.

  The horizontal axis runs from frame 0 to the last frame. Text is HTML outside
  of the SVG, so that it keeps its size on a narrow screen.

  Args:
    values: value of each frame, float [n], n >= 1, at least 0. Values are
      written as percentages; those below 0.01 % are drawn at 0.01 %.
    first: frame of values[0], above 0. The others follow one by one.
    label: name of the values, for readers who cannot see the plot.

  Returns:
    The plot as HTML. Its element of the class `cursor` is an upright line. A
    script moves it to a frame by setting its style `left`, from 0 to 100 %.
  """
  last = first + len(values) - 1
  # The vertical axis spans whole powers of ten. SVG coordinates are 0 to 100,
  # with y downwards.
  powers = np.log10(np.maximum(values, _LEAST))
  low, high = math.floor(powers.min()), math.ceil(powers.max())
  high = max(high, low + 1)
  x = (first + np.arange(len(values))) / last * 100
  y = (high - powers) / (high - low) * 100
  levels = [_percent(10.0**power) for power in range(high, low - 1, -1)]
  description = (
      f'{label}: {_percent(values[0])} in frame {first},'
      f' {_percent(values[-1])} in frame {last}; at most'
      f' {_percent(values.max())}, in frame {first + int(values.argmax())}, and'
      f' at least {_percent(values.min())}, in frame'
      f' {first + int(values.argmin())}'
  )
  cursor = '<div class="cursor"></div>'
  return _lay_out(x, y, levels, last, description, cursor)


def draw_curve(steps: np.ndarray, values: np.ndarray, label: str) -> str:
  """Draws values over the steps of a run, on a logarithmic vertical axis.

  The horizontal axis runs from 0 to the last step.

  Args:
    steps: steps in ascending order, int [n], n >= 1, at least 0.
    values: value at each step, float [n]. Values below 1e-6 are drawn at 1e-6.
    label: name of the values, for readers who cannot see the plot.

  Returns:
    The plot as HTML.
  """
  last = max(int(steps[-1]), 1)
  # Labels of the vertical axis are 0.01 times whole powers of a ratio. It is
  # the smallest of these ratios that gives at most `_MOST_RULES` steps.
  logs = np.log(np.maximum(values, 1e-6) / 0.01)
  for ratio in (2, 10, 100):
    powers = logs / math.log(ratio)
    low, high = math.floor(powers.min()), math.ceil(powers.max())
    high = max(high, low + 1)
    if high - low <= _MOST_RULES:
      break
  y = (high - powers) / (high - low) * 100
  levels = [f'{0.01 * ratio**p:.3g}' for p in range(high, low - 1, -1)]
  description = (
      f'{label}: {values[0]:.4f} at step {steps[0]}, {values[-1]:.4f} at step'
      f' {steps[-1]}'
  )
  return _lay_out(steps / last * 100, y, levels, last, description)


def _lay_out(
    x: np.ndarray,
    y: np.ndarray,
    levels: Sequence[str],
    last: int,
    description: str,
    cursor: str = '',
) -> str:
  """Returns a plot as HTML.

  Args:
    x: horizontal positions of the line's points, in 0 to 100.
    y: vertical positions, in 0 to 100, downwards.
    levels: labels of the vertical axis from the top, at equal distances, each
      with a rule.
    last: number at the right end of the horizontal axis, which begins at 0.
    description: the plot in words, as plain text.
    cursor: HTML that lies over the plot.
  """
  points = ' '.join(f'{a:.2f},{b:.2f}' for a, b in zip(x, y))
  rules = ''.join(
      f'M0 {100 * i / (len(levels) - 1):.2f}H100' for i in range(len(levels))
  )
  steps = ''.join(f'<span>{level}</span>' for level in levels)
  # There are five numbers below the plot, or all of them if there are fewer.
  marks = ''.join(
      f'<span style="left:{number / last * 100:.2f}%">{number}</span>'
      for number in sorted({round(last * part / 4) for part in range(5)})
  )
  return f"""<div class="plot">
<div class="high" aria-hidden="true">{steps}</div>
<div class="field" role="img" aria-label="{html.escape(description)}">
<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
<path d="{rules}"/><polyline points="{points}"/>
</svg>{cursor}</div>
<div class="along" aria-hidden="true">{marks}</div>
</div>"""


def _percent(value):
  return f'{100 * value:.3g} %'
