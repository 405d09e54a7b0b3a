"""Measures where the wall time of a run went, by its ledger."""

from collections.abc import Mapping, Sequence
import dataclasses
import itertools
from typing import Any

from rvm_jax.runtime import exit_codes

Record = Mapping[str, Any]

# Where time can go, in the order of the table.
PARTS = (
    'useful steps',
    'waiting for data',
    'compiling',
    'evaluation',
    'checkpoints',
    'starting',
    'steps done again',
    'down',
    'other',
)
# For each event whose seconds all count to one part, that part.
_PART_OF_EVENT = {
    'evaluation': 'evaluation',
    'save': 'checkpoints',
    'saved': 'checkpoints',
    'start': 'starting',
}


@dataclasses.dataclass(frozen=True)
class Start:
  """One start of a run.

  Attributes:
    time: when it began, in seconds since 1970.
    first: number of steps done when it began.
    last: number of steps done at its last line in the ledger.
    lost: how many of its steps later starts have done again.
    down: seconds before it in which the run was down.
    seconds: seconds from its beginning to its last line in the ledger.
    hardware: text that says which devices it had, such as '4 x TPU v4'.
    end: text that says how it ended, such as 'killed'.
  """

  time: float
  first: int
  last: int
  lost: int
  down: float
  seconds: float
  hardware: str
  end: str


@dataclasses.dataclass(frozen=True)
class Goodput:
  """Where the time of a run went.

  Attributes:
    parts: seconds by name, for each of `PARTS`.
    starts: the starts of the run, in order.
    speeds: for each event 'steps' in the ledger, when these steps began and
      when they were done, in seconds since the first start, and the steps per
      second.
    mfu: share of the devices' peak that the model's FLOPs took while steps were
      done; None if the peak or the FLOPs are not known.
    overall_mfu: share of the devices' peak over the whole wall time that the
      model's FLOPs in useful steps took; None if the peak or the FLOPs are not
      known.
  """

  parts: Mapping[str, float]
  starts: Sequence[Start]
  speeds: Sequence[tuple[float, float, float]]
  mfu: float | None
  overall_mfu: float | None

  @property
  def total(self) -> float:
    """Seconds of all parts together."""
    return sum(self.parts.values())


def measure(lines: Sequence[Record]) -> Goodput:
  """Returns where the time of a run went.

  Args:
    lines: lines of the ledger, as `training.ledger` describes them.

  Raises:
    ValueError: the run never started.
  """
  # The lines of each start of the run. Those before the first start, if any,
  # are left out.
  runs: list[list[Record]] = []
  for line in lines:
    if line['event'] == 'start':
      runs.append([])
    if runs:
      runs[-1].append(line)
  if not runs:
    raise ValueError('the ledger has no start of a run')
  parts = dict.fromkeys(PARTS, 0.0)
  starts: list[Start] = []
  speeds = []
  # `wall` is the wall time in seconds. `model` has the model's FLOPs in all
  # steps and those in useful steps. `peak` has the FLOPs that the devices
  # could have done while steps were done, and those in the whole wall time.
  wall, model, peak = 0.0, [0.0, 0.0], [0.0, 0.0]
  origin = runs[0][0]['time'] - runs[0][0]['seconds']
  for number, run in enumerate(runs):
    first, last = run[0], run[-1]
    # Steps after step `kept` are done again by later starts.
    kept = min((r[0]['step'] for r in runs[number + 1 :]), default=last['step'])
    start = _describe(run, kept, is_newest=number == len(runs) - 1)
    starts.append(start)
    wall += start.down + start.seconds
    parts['down'] += start.down
    for line in run:
      _add(parts, line, kept)
      if line['event'] == 'steps' and line['seconds']:
        done = line['step'] - line['from']
        end = line['time'] - origin
        speed = done / line['seconds']
        speeds.append((end - done / speed, end, speed))
        if first['flops'] and first['peak']:
          useful = min(max(kept - line['from'], 0), done)
          model[0] += first['flops'] * done
          model[1] += first['flops'] * useful
          peak[0] += first['peak'] * line['seconds']
    # A run that ends waits until old checkpoints are deleted. This wait, from
    # the last 'save' to 'end', counts as time of checkpoints too.
    for before, after in itertools.pairwise(run):
      if before['event'] == 'save' and after['event'] == 'end':
        parts['checkpoints'] += max(after['time'] - before['time'], 0)
    if first['peak']:
      peak[1] += first['peak'] * (start.down + start.seconds)
  parts['other'] = max(wall - sum(parts.values()), 0.0)
  return Goodput(
      parts,
      starts,
      speeds,
      *(a / b if a and b else None for a, b in zip(model, peak)),
  )


def _add(parts: dict[str, float], line: Record, kept: int):
  """Adds the seconds of one line to the parts that they went into.

  Args:
    parts: seconds by name, which are changed.
    line: line of the ledger.
    kept: number of the last step that no later start does again.
  """
  event = line['event']
  if event in _PART_OF_EVENT:
    parts[_PART_OF_EVENT[event]] += line['seconds']
  elif event == 'compile':
    parts['compiling'] += line['seconds'] - line['data_wait']
    parts['waiting for data'] += line['data_wait']
  elif event == 'steps':
    done = line['step'] - line['from']
    share = min(max(kept - line['from'], 0), done) / done
    parts['useful steps'] += share * (line['seconds'] - line['data_wait'])
    parts['waiting for data'] += share * line['data_wait']
    parts['steps done again'] += (1 - share) * line['seconds']


def _describe(run: Sequence[Record], kept: int, is_newest: bool) -> Start:
  """Returns what one start of the run did.

  Args:
    run: lines of the start.
    kept: number of the last step that no later start does again.
    is_newest: whether it is the last start in the ledger.
  """
  first, last = run[0], run[-1]
  begin = first['time'] - first['seconds']
  if last['event'] == 'end':
    end = f'exit code {last["code"]}: {last["why"]}'
    if last['code'] == exit_codes.DONE:
      end = 'done'
  else:
    end = 'running or killed' if is_newest else 'killed'
  return Start(
      time=begin,
      first=first['step'],
      last=last['step'],
      lost=max(last['step'] - kept, 0),
      down=first.get('down', 0.0),
      seconds=last['time'] - begin,
      hardware=f'{first["devices"]} x {first["device_kind"]}',
      end=end,
  )
