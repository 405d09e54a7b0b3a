"""Line plots for web pages: SVG lines, and text that stays readable."""

import html
import math

import numpy as np

_LEAST = 1e-4


def draw_line(values: np.ndarray, first: int, label: str) -> str:
  """A line over frame numbers, 0 to the last, with a logarithmic height.

  Text is HTML around the drawing, not in it, so that it keeps its size on a
  narrow screen.

  Args:
    values: float [n], n >= 1, at least 0; less than 0.01 % is drawn as that.
    first: the frame of values[0]; the others follow one by one.
    label: what the values are, for those who cannot see the plot.

  Returns:
    HTML; values are written as percentages. An element of the class `cursor`
    marks a frame where its `left` style is put between 0 and 100 %.
  """
  last = first + len(values) - 1
  powers = np.log10(np.maximum(values, _LEAST))
  low, high = math.floor(powers.min()), math.ceil(powers.max())
  high = max(high, low + 1)
  x = (first + np.arange(len(values))) / last * 100
  y = (high - powers) / (high - low) * 100
  points = ' '.join(f'{a:.2f},{b:.2f}' for a, b in zip(x, y))
  heights = [100 * i / (high - low) for i in range(high - low + 1)]
  rules = ''.join(f'M0 {height:.2f}H100' for height in heights)
  steps = ''.join(
      f'<span>{_percent(10.0**power)}</span>'
      for power in range(high, low - 1, -1)
  )
  frames = sorted({round(last * part / 4) for part in range(5)})
  marks = ''.join(
      f'<span style="left:{frame / last * 100:.2f}%">{frame}</span>'
      for frame in frames
  )
  said = html.escape(
      f'{label}: {_percent(values[0])} in frame {first},'
      f' {_percent(values[-1])} in frame {last}; at most'
      f' {_percent(values.max())}, in frame {first + int(values.argmax())}, and'
      f' at least {_percent(values.min())}, in frame'
      f' {first + int(values.argmin())}'
  )
  return f"""<div class="plot">
<div class="high" aria-hidden="true">{steps}</div>
<div class="field" role="img" aria-label="{said}">
<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
<path d="{rules}"/><polyline points="{points}"/>
</svg><div class="cursor"></div></div>
<div class="along" aria-hidden="true">{marks}</div>
</div>"""


def _percent(value):
  return f'{100 * value:.3g} %'
