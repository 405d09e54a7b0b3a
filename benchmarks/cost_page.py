"""Makes the tables of docs/cost.md from the results of `cost.py`."""

import json
import math
import pathlib

import video_cost

PAGE = pathlib.Path(__file__).parents[1] / 'docs' / 'cost.md'
BEGIN, END = '<!-- begin: benchmarks/cost.py -->', '<!-- end -->'

STEP_COLUMNS = (
    'encoder',
    'parameters, M',
    'frames a call',
    'GFLOPs a call',
    'GFLOPs a frame',
    '/ RVM',
    'memory, GB',
    'of it weights',
    'v6e: MB of HBM a frame',
    'v6e: ms a frame',
)
CROSSOVER_COLUMNS = (
    'encoder',
    'against',
    'windows cost fewer FLOPs from',
    'a whole call costs more FLOPs from',
    'and more memory, in blocks, from',
    'and more memory, at once, from',
)
TIME_COLUMNS = (
    'encoder',
    'frames a call',
    'one CPU core, ms a frame',
    '/ RVM',
    'GPU, ms a frame',
)


def digits(value: float) -> str:
  """Returns a number with three digits or, if it is large, without decimals."""
  return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def head(columns: tuple[str, ...]) -> list[str]:
  """Returns the first two lines of a table."""
  return [f'| {" | ".join(columns)} |', '|---' * len(columns) + '|']


def make_steps() -> list[str]:
  """Returns the table of what one call costs: a frame, or a window of 16."""
  host, chip = video_cost.read(), video_cost.read('.v6e')
  lines = head(STEP_COLUMNS)
  for name, result in host.items():
    one = video_cost.step(result)
    num_frames = one['frames']
    flops = one['flops'] / num_frames
    cells = [
        video_cost.title(name),
        f'{result["parameters"] / 1e6:.1f}',
        f'{num_frames}',
        f'{one["flops"] / 1e9:.1f}',
        f'{flops / 1e9:.1f}',
        f'{flops / video_cost.step(host[video_cost.peer(name)])["flops"]:.2f}',
        f'{video_cost.memory(one) / 1e9:.2f}',
        f'{4 * result["parameters"] / 1e9:.2f}',
    ]
    if name in chip:
      (on_chip,) = chip[name]['calls']
      cells += [
          f'{on_chip["hbm_bytes"] / num_frames / 1e6:.0f}',
          f'{on_chip["seconds"] / num_frames * 1e3:.2f}',
      ]
    else:
      cells += ['not compiled'] * 2
    lines.append(f'| {" | ".join(cells)} |')
  return lines


def make_videos() -> list[str]:
  """Returns the table of the FLOPs of whole videos."""
  lines = head(('TFLOPs of a video', *map(str, video_cost.FRAMES)))
  # Rows of whole videos in one call, below those of frames and windows.
  whole = []
  for name, result in video_cost.read().items():
    way = ', windows' if video_cost.is_clip(result) else ''
    cells = [
        digits(video_cost.count_video(result, x) / 1e12)
        for x in video_cost.FRAMES
    ]
    lines.append(f'| {video_cost.title(name)}{way} | {" | ".join(cells)} |')
    if video_cost.is_clip(result):
      cells = [
          digits(x['flops'] / 1e12) if x else '-'
          for x in (video_cost.call(result, num) for num in video_cost.FRAMES)
      ]
      whole.append(f'| {video_cost.title(name)}, whole | {" | ".join(cells)} |')
  return lines + whole


def make_memory() -> list[str]:
  """Returns the table of the memory of clip models that get a whole video."""
  lines = head(('GB of a whole call', *map(str, video_cost.FRAMES[1:])))
  for name, result in video_cost.read().items():
    if not video_cost.is_clip(result):
      continue
    for words, key in (('in blocks', 'temporary'), ('at once', 'unblocked')):
      cells = [
          digits(video_cost.memory(x, key) / 1e9) if x else '-'
          for x in (
              video_cost.call(result, num) for num in video_cost.FRAMES[1:]
          )
      ]
      lines.append(
          f'| {video_cost.title(name)}, {words} | {" | ".join(cells)} |'
      )
  return lines


def make_crossovers() -> list[str]:
  """Returns the table of lengths at which RVM and clip models cost the same."""
  lines = head(CROSSOVER_COLUMNS)
  host = video_cost.read()
  for name, result in host.items():
    if not video_cost.is_clip(result):
      continue
    rvm = host[video_cost.peer(name)]
    whole = video_cost.find_whole_crossover(rvm, result)
    numbers = [
        video_cost.find_window_crossover(rvm, result),
        whole and math.ceil(whole),
        video_cost.find_memory_crossover(rvm, result),
        video_cost.find_memory_crossover(rvm, result, 'unblocked'),
    ]
    cells = [video_cost.title(x) for x in (name, video_cost.peer(name))]
    cells += [f'{x} frames' if x else 'never' for x in numbers]
    lines.append(f'| {" | ".join(cells)} |')
  return lines


def make_latency() -> list[str]:
  """Returns the table of times on a CPU."""
  path = video_cost.RESULTS / 'latency.json'
  lines = head(TIME_COLUMNS)
  if not path.exists():
    return ['Not measured.']
  latency = json.loads(path.read_text())
  times = {
      (x['name'], x['frames']): x['seconds'] / x['frames']
      for x in latency['calls']
  }
  for (name, num_frames), seconds in times.items():
    ratio = seconds / times[video_cost.peer(name), 1]
    lines.append(
        f'| {video_cost.title(name)} | {num_frames} | {seconds * 1e3:.0f} |'
        f' {ratio:.2f} | not measured |'
    )
  machine = (
      f'Measured on {latency["date"]}: {latency["machine"]},'
      f' one of {latency["num_cores"]} cores, least time of the core; load of'
      f' the machine {latency["load"]:.1f}.'
  )
  return [*lines, '', machine]


def make_tables() -> str:
  """Returns all tables, and the versions that they depend on."""
  versions = {
      f'{key} {value}'
      for result in [
          *video_cost.read().values(),
          *video_cost.read('.v6e').values(),
      ]
      for key, value in result['versions'].items()
  }
  parts = [
      ('Cost of a frame', make_steps()),
      ('FLOPs of a video', make_videos()),
      ('Memory of a whole video', make_memory()),
      ('Crossovers', make_crossovers()),
      ('Time on a CPU', make_latency()),
  ]
  lines = [
      '\n'.join([f'### {heading}', '', *table]) for heading, table in parts
  ]
  return '\n\n'.join([*lines, f'Compiled with {", ".join(sorted(versions))}.'])


def write():
  """Puts the tables between the markers of the page."""
  text = PAGE.read_text()
  before, rest = text.split(BEGIN)
  _, after = rest.split(END)
  PAGE.write_text(f'{before}{BEGIN}\n{make_tables()}\n{END}{after}')
