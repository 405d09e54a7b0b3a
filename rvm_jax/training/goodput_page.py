"""The page of `training.goodput`: one HTML file that loads no other."""

from collections.abc import Mapping, Sequence
import html
import itertools
import math

# The plot has about this many points at most, so that the page of a long run
# stays small.
_NUM_POINTS = 600
# Colours of the parts of the time, in the order of `wall_time.PARTS`, for light
# and dark backgrounds alike.
_COLOURS = (
    '#2a8f5b',
    '#d08700',
    '#7a6ff0',
    '#2b87d1',
    '#23a3b0',
    '#9aa0a8',
    '#d9534f',
    '#a23b72',
    '#c9c4ba',
)

_CSS = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --ink: #1c1e22; --quiet: #5a5f68; --line: #e0ddd6;
  --accent: #2a8f5b;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #101216; --ink: #e8e6e1; --quiet: #a4a9b2; --line: #2c3037; }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
  max-width: 72rem; margin: 0 auto; padding: 3rem clamp(1rem, 4vw, 3rem) 4rem;
  font-variant-numeric: tabular-nums;
}
h1 { font-size: 2.1rem; line-height: 1.15; letter-spacing: -0.02em; }
h2 { font-size: 1.2rem; margin: 3rem 0 0.8rem; }
.where { color: var(--quiet); overflow-wrap: anywhere; }
.facts {
  display: grid; gap: 1.2rem 2rem; margin-top: 2rem;
  grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr));
}
.facts dt { color: var(--quiet); font-size: 0.85rem; }
.facts dd { font-size: 1.25rem; font-weight: 600; }
.bar {
  display: flex; height: 2.2rem; border-radius: 5px; overflow: hidden;
  margin-bottom: 1.2rem;
}
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.95rem; }
th { color: var(--quiet); font-weight: 400; font-size: 0.85rem; }
th, td { text-align: left; padding: 0.3rem 1.6rem 0.3rem 0; }
th, tr + tr td { border-bottom: 1px solid var(--line); }
.starts th, .starts td { white-space: nowrap; }
.starts td:last-child { white-space: normal; min-width: 16rem; }
.key {
  display: inline-block; width: 0.8rem; height: 0.8rem; border-radius: 3px;
  margin-right: 0.6rem;
}
.plot {
  display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0.4rem 0.7rem;
  color: var(--quiet); font-size: 0.8rem; line-height: 1; margin-right: 2rem;
}
.high {
  display: flex; flex-direction: column; justify-content: space-between;
  text-align: right; margin: -0.4rem 0;
}
svg { display: block; width: 100%; height: 14rem; overflow: visible; }
path { fill: none; vector-effect: non-scaling-stroke; }
.rules { stroke: var(--line); }
.starting { stroke: #d9534f; stroke-dasharray: 3 3; }
.speed { stroke: var(--accent); stroke-width: 1.5; }
.along { grid-column: 2; position: relative; height: 1rem; }
.along span {
  position: absolute; transform: translateX(-50%); white-space: nowrap;
}
.note { color: var(--quiet); font-size: 0.9rem; margin-top: 0.6rem; }
"""


def write(
    workdir: str,
    facts: Mapping[str, str],
    parts: Sequence[tuple[str, str, str]],
    shares: Sequence[float],
    columns: Sequence[str],
    starts: Sequence[Sequence[str]],
    plot: str,
) -> str:
  """Returns the page as HTML.

  Args:
    workdir: path of the run's folder.
    facts: most important figures as text, by name.
    parts: name, duration and share of each part of the time, as text.
    shares: share of each part of the time as a number in [0, 1].
    columns: header of the table of starts.
    starts: rows of the table of starts.
    plot: the plot, as `draw_speeds` returns it.
  """
  listed = ''.join(
      f'<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>'
      for name, value in facts.items()
  )
  bar = ''.join(
      f'<div style="flex:{share:.6f};background:{colour}"'
      f' title="{html.escape(name)}: {text}"></div>'
      for (name, _, text), share, colour in zip(parts, shares, _COLOURS)
  )
  legend = ''.join(
      f'<tr><td><span class="key" style="background:{colour}"></span>'
      f'{html.escape(name)}</td><td>{duration}</td><td>{text}</td></tr>'
      for (name, duration, text), colour in zip(parts, _COLOURS)
  )
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Goodput: {html.escape(workdir)}</title>
<link rel="icon" href="data:,">
<style>{_CSS}</style>
</head>
<body>
<h1>Goodput</h1>
<p class="where">{html.escape(workdir)}</p>
<dl class="facts">{listed}</dl>
<h2>Where the time went</h2>
<div class="bar" aria-hidden="true">{bar}</div>
<table><tr><th>part</th><th>time</th><th>share</th></tr>{legend}</table>
<h2>Steps per second</h2>
{plot}
<h2>Starts</h2>
<div class="wide"><table class="starts">{_row('th', columns)}
{''.join(_row('td', row) for row in starts)}</table></div>
<p class="note">When a run is killed, the time from the last line of its ledger
to its next start counts as down, although the run may have done steps in a part
of it.</p>
</body>
</html>
"""


def _row(tag: str, cells: Sequence[str]) -> str:
  inner = ''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)
  return f'<tr>{inner}</tr>\n'


def draw_speeds(
    speeds: Sequence[tuple[float, float, float]], starts: Sequence[float]
) -> str:
  """Draws the steps per second over time, with a line for each restart.

  Args:
    speeds: for each interval of steps, in order, its beginning and its end in
      seconds since the first start, and its steps per second.
    starts: seconds from the first start to each start, the first one too.

  Returns:
    The plot as HTML.
  """
  if not speeds:
    return '<p class="note">No steps were timed yet.</p>'
  last = max(end for _, end, _ in speeds)
  top = _round_up(max(speed for *_, speed in speeds))
  # In the drawing x and y run from 0 to 100, and y = 0 is at the top. Every
  # `size` neighbouring intervals of a start are merged into one, whose speed is
  # their number of steps divided by their duration.
  size = -(-len(speeds) // _NUM_POINTS)
  path = ''
  for start, after in itertools.pairwise([*starts, math.inf]):
    since = [speed for speed in speeds if start <= speed[0] < after]
    for i in range(0, len(since), size):
      group = since[i : i + size]
      durations = [end - begin for begin, end, _ in group]
      done = sum(d * speed for d, (*_, speed) in zip(durations, group))
      x, y = 100 * group[0][0] / last, 100 - 100 * done / sum(durations) / top
      # Each start of the run begins a new line ("M").
      path += (
          f'{"L" if i else "M"}{x:.3f} {y:.2f}H{100 * group[-1][1] / last:.3f}'
      )
  rules = ''.join(f'M0 {y}H100' for y in (0, 50, 100))
  restarts = ''.join(
      f'M{100 * start / last:.3f} 0V100' for start in starts[1:] if start < last
  )
  marks = ''.join(
      f'<span style="left:{100 * seconds / last:.2f}%">{text}</span>'
      for seconds, text in _ticks(last)
  )
  return f"""<div class="plot">
<div class="high" aria-hidden="true">
<span>{top:.3g}</span><span>{top / 2:.3g}</span><span>0</span></div>
<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img"
 aria-label="Steps per second, at most {top:.3g}">
<path class="rules" d="{rules}"/><path class="starting" d="{restarts}"/>
<path class="speed" d="{path}"/></svg>
<div class="along" aria-hidden="true">{marks}</div>
</div>
<p class="note">Time since the first start. Dashed lines are restarts. The time
of steps includes waiting for data, but no evaluations or checkpoints.</p>"""


def _ticks(last: float) -> list[tuple[int, str]]:
  """Returns at most seven marks of the axis of time.

  Args:
    last: end of the axis in seconds.

  Returns:
    The place of each mark in seconds, and its label.
  """
  unit, name = next(
      ((unit, name) for unit, name in _UNITS if last >= 2 * unit), _UNITS[-1]
  )
  step = unit * math.ceil(_round_up(last / unit / 6))
  return [
      (seconds, f'{seconds // unit} {name}')
      for seconds in range(0, int(last) + 1, step)
  ]


# Units of time in seconds, the largest one first, and their names.
_UNITS = ((86400, 'd'), (3600, 'h'), (60, 'min'), (1, 's'))


def _round_up(x: float) -> float:
  """Rounds up to 1, 1.5, 2, 3, 5 or 7.5 times a power of ten.

  Args:
    x: number above 0.
  """
  power = 10.0 ** math.floor(math.log10(x))
  return next(power * k for k in (1, 1.5, 2, 3, 5, 7.5, 10) if power * k >= x)
