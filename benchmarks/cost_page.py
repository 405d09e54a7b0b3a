"""Makes the tables of docs/cost.md from the results of `cost.py`."""

import json
import math
import pathlib
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / 'benchmarks' / 'cost'
PAGE = ROOT / 'docs' / 'cost.md'
BEGIN, END = '<!-- begin: benchmarks/cost.py -->', '<!-- end -->'

TITLES = {
    'rvm': 'RVM',
    'dinov2': 'DINOv2',
    'dinov3': 'DINOv3',
    'videomae': 'VideoMAE',
    'vjepa': 'V-JEPA',
    'vjepa2': 'V-JEPA 2',
}
# The size of RVM that an encoder of each size is compared with.
PEERS = {'S': 'S', 'B': 'B', 'L': 'L', 'H': 'H', 'H+': 'H', 'g': 'H'}
FRAMES = tuple(2**i for i in range(11))
WINDOW = 16

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
    'CPU, ms a frame',
    '/ RVM',
    'GPU, ms a frame',
)

Result = dict[str, Any]


def read(suffix: str = '') -> dict[str, Result]:
  """Returns the results by the encoder's name, in the order of the tables.

  Args:
    suffix: '' for the results on this machine, '.v6e' for those of that chip.
  """
  found = {}
  for family in TITLES:
    for size in PEERS:
      path = RESULTS / f'{family}.{size}{suffix}.json'
      if path.exists():
        found[f'{family}.{size}'] = json.loads(path.read_text())
  return found


def title(name: str) -> str:
  """Returns the words for an encoder's name, such as 'V-JEPA 2 L'."""
  family, size = name.split('.')
  return f'{TITLES[family]} {size}'


def peer(name: str) -> str:
  """Returns the name of the RVM that an encoder is compared with."""
  return f'rvm.{PEERS[name.split(".")[1]]}'


def call(result: Result, num_frames: int) -> Result | None:
  """Returns the call with a number of frames, None if there is none."""
  found = [x for x in result['calls'] if x['frames'] == num_frames]
  return found[0] if found else None


def is_clip(result: Result) -> bool:
  """Returns whether an encoder attends over time."""
  return len(result['calls']) > 1


def step(result: Result) -> Result:
  """Returns the call whose cost does not depend on the video's length.

  It is that of one frame, or of a window.
  """
  found = call(result, WINDOW if is_clip(result) else 1)
  assert found
  return found


def count_video(result: Result, num_frames: int) -> float:
  """Returns the FLOPs of a video in equal calls; the last one is filled up."""
  one = step(result)
  return math.ceil(num_frames / one['frames']) * one['flops']


def memory(call: Result, key: str = 'temporary') -> float:
  """Returns the bytes that a call needs on its device, with the weights."""
  return call['arguments'] + call[key] + call['outputs']


def find_window_crossover(rvm: Result, rival: Result) -> int | None:
  """Returns the least number of frames from which on windows cost less FLOPs.

  From there to 1024 frames they do throughout. None if they do not.
  """
  found = None
  for num_frames in range(FRAMES[-1], 0, -1):
    if count_video(rival, num_frames) >= count_video(rvm, num_frames):
      break
    found = num_frames
  return found


def find_whole_crossover(rvm: Result, rival: Result) -> float | None:
  """Returns the number of frames from which on a whole call costs more FLOPs.

  The FLOPs of a frame grow in proportion to the number of frames, so that the
  line between two numbers that were counted is exact. None if there is no such
  number up to 1024 frames.
  """
  wanted = step(rvm)['flops']
  points = [(x['frames'], x['flops'] / x['frames']) for x in rival['calls']]
  if points[0][1] >= wanted:
    return points[0][0]
  for (x0, y0), (x1, y1) in zip(points, points[1:]):
    if y1 >= wanted:
      return x0 + (x1 - x0) * (wanted - y0) / (y1 - y0)
  return None


def find_memory_crossover(
    rvm: Result, rival: Result, key: str = 'temporary'
) -> int | None:
  """Returns the least counted frames for which a whole call needs more memory.

  Args:
    rvm: the result of RVM.
    rival: the result of an encoder of clips.
    key: 'unblocked' if all scores are in memory at once.
  """
  most = memory(step(rvm))
  return next(
      (x['frames'] for x in rival['calls'] if memory(x, key) > most), None
  )


def head(columns: tuple[str, ...]) -> list[str]:
  """Returns the first two lines of a table."""
  return [f'| {" | ".join(columns)} |', '|---' * len(columns) + '|']


def make_steps() -> list[str]:
  """Returns the table of what does not depend on the number of frames."""
  host, chip = read(), read('.v6e')
  lines = head(STEP_COLUMNS)
  for name, result in host.items():
    one = step(result)
    num_frames = one['frames']
    flops = one['flops'] / num_frames
    cells = [
        title(name),
        f'{result["parameters"] / 1e6:.1f}',
        f'{num_frames}',
        f'{one["flops"] / 1e9:.1f}',
        f'{flops / 1e9:.1f}',
        f'{flops / step(host[peer(name)])["flops"]:.2f}',
        f'{memory(one) / 1e9:.2f}',
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
  lines = head(('TFLOPs of a video', *map(str, FRAMES)))
  whole = []
  for name, result in read().items():
    way = ', windows' if is_clip(result) else ''
    cells = [f'{count_video(result, x) / 1e12:.3g}' for x in FRAMES]
    lines.append(f'| {title(name)}{way} | {" | ".join(cells)} |')
    if is_clip(result):
      cells = [
          f'{x["flops"] / 1e12:.3g}' if x else '-'
          for x in (call(result, num) for num in FRAMES)
      ]
      whole.append(f'| {title(name)}, whole | {" | ".join(cells)} |')
  return lines + whole


def make_memory() -> list[str]:
  """Returns the table of the memory of whole calls."""
  lines = head(('GB of a whole call', *map(str, FRAMES[1:])))
  for name, result in read().items():
    if not is_clip(result):
      continue
    for words, key in (('in blocks', 'temporary'), ('at once', 'unblocked')):
      cells = [
          f'{memory(x, key) / 1e9:.3g}' if x else '-'
          for x in (call(result, num) for num in FRAMES[1:])
      ]
      lines.append(f'| {title(name)}, {words} | {" | ".join(cells)} |')
  return lines


def make_crossovers() -> list[str]:
  """Returns the table of where RVM and the models of clips cost the same."""
  lines = head(CROSSOVER_COLUMNS)
  host = read()
  for name, result in host.items():
    if not is_clip(result):
      continue
    rvm = host[peer(name)]
    whole = find_whole_crossover(rvm, result)
    cells = [
        find_window_crossover(rvm, result),
        whole and math.ceil(whole),
        find_memory_crossover(rvm, result),
        find_memory_crossover(rvm, result, 'unblocked'),
    ]
    words = [f'{x} frames' if x else 'never' for x in cells]
    lines.append(
        f'| {title(name)} | {title(peer(name))} | {" | ".join(words)} |'
    )
  return lines


def make_latency() -> list[str]:
  """Returns the table of times on a CPU."""
  path = RESULTS / 'latency.json'
  lines = head(TIME_COLUMNS)
  if not path.exists():
    return lines
  latency = json.loads(path.read_text())
  times = {
      (x['name'], x['frames']): x['seconds'] / x['frames']
      for x in latency['calls']
  }
  for (name, num_frames), seconds in times.items():
    ratio = seconds / times[peer(name), 1]
    lines.append(
        f'| {title(name)} | {num_frames} | {seconds * 1e3:.0f} |'
        f' {ratio:.2f} | not measured |'
    )
  machine = (
      f'Measured on {latency["date"]}: {latency["machine"]},'
      f' {latency["num_cores"]} cores, load {latency["load"]:.1f}.'
  )
  return [*lines, '', machine]


def make_tables() -> str:
  """Returns all tables, and the versions that they depend on."""
  versions = {
      f'{key} {value}'
      for result in [*read().values(), *read('.v6e').values()]
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
