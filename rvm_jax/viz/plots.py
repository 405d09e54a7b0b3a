"""Line plots for web pages: an SVG line, with its text in HTML around it."""

import html
import math

import numpy as np

_LEAST = 1e-4
# Greatest number of steps of a vertical axis.
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
    HTML. It contains an element of the class `cursor`, an upright line that
    marks a frame when a script sets its style `left` to 0 to 100 %.
  """
  last = first + len(values) - 1
  # The vertical axis spans whole powers of ten. SVG coordinates are 0 to 100,
  # with y downwards.
  powers = np.log10(np.maximum(values, _LEAST))
  low, high = math.floor(powers.min()), math.ceil(powers.max())
  high = max(high, low + 1)
  x = (first + np.arange(len(values))) / last * 100
  y = (high - powers) / (high - low) * 100
  points = ' '.join(f'{a:.2f},{b:.2f}' for a, b in zip(x, y))
  # A rule and a label for each power of ten, from the top.
  heights = [100 * i / (high - low) for i in range(high - low + 1)]
  rules = ''.join(f'M0 {height:.2f}H100' for height in heights)
  steps = ''.join(
      f'<span>{_percent(10.0**power)}</span>'
      for power in range(high, low - 1, -1)
  )
  # Five frame numbers below the plot; fewer if the video has fewer frames.
  frames = sorted({round(last * part / 4) for part in range(5)})
  marks = ''.join(
      f'<span style="left:{frame / last * 100:.2f}%">{frame}</span>'
      for frame in frames
  )
  description = html.escape(
      f'{label}: {_percent(values[0])} in frame {first},'
      f' {_percent(values[-1])} in frame {last}; at most'
      f' {_percent(values.max())}, in frame {first + int(values.argmax())}, and'
      f' at least {_percent(values.min())}, in frame'
      f' {first + int(values.argmin())}'
  )
  return f"""<div class="plot">
<div class="high" aria-hidden="true">{steps}</div>
<div class="field" role="img" aria-label="{description}">
<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
<path d="{rules}"/><polyline points="{points}"/>
</svg><div class="cursor"></div></div>
<div class="along" aria-hidden="true">{marks}</div>
</div>"""


def draw_curve(steps: np.ndarray, values: np.ndarray, label: str) -> str:
  """Draws values over the steps of a run, on a logarithmic vertical axis.

  The horizontal axis runs from 0 to the last step.

  Args:
    steps: steps in ascending order, int [n], n >= 1, at least 0.
    values: value at each step, float [n]. Values below 1e-6 are drawn at 1e-6.
    label: name of the values, for readers who cannot see the plot.

  Returns:
    HTML.
  """
  last = max(int(steps[-1]), 1)
  # The vertical axis spans whole powers of a ratio times 0.01: of two, unless
  # that are too many labels.
  logs = np.log(np.maximum(values, 1e-6) / 0.01)
  for ratio in (2, 10, 100):
    powers = logs / math.log(ratio)
    low, high = math.floor(powers.min()), math.ceil(powers.max())
    high = max(high, low + 1)
    if high - low <= _MOST_RULES:
      break
  y = (high - powers) / (high - low) * 100
  points = ' '.join(f'{a:.2f},{b:.2f}' for a, b in zip(steps / last * 100, y))
  rules = ''.join(
      f'M0 {100 * i / (high - low):.2f}H100' for i in range(high - low + 1)
  )
  levels = ''.join(
      f'<span>{0.01 * ratio**power:.3g}</span>'
      for power in range(high, low - 1, -1)
  )
  marks = ''.join(
      f'<span style="left:{step / last * 100:.2f}%">{step}</span>'
      for step in sorted({round(last * part / 4) for part in range(5)})
  )
  description = html.escape(
      f'{label}: {values[0]:.4f} at step {steps[0]}, {values[-1]:.4f} at step'
      f' {steps[-1]}'
  )
  return f"""<div class="plot">
<div class="high" aria-hidden="true">{levels}</div>
<div class="field" role="img" aria-label="{description}">
<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
<path d="{rules}"/><polyline points="{points}"/>
</svg></div>
<div class="along" aria-hidden="true">{marks}</div>
</div>"""


def _percent(value):
  return f'{100 * value:.3g} %'
