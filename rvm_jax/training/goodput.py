"""Says where the time of a run went.

  python -m rvm_jax.training.goodput WORKDIR [--html=FILE]

Reads `WORKDIR`/ledger.jsonl and prints the share of the wall time since the
first start that went into useful steps (the goodput) and into everything else,
and a row for each start of the run. --html=FILE writes a page with the same
tables and the speed over time.

If a run was killed, the time from the last line of its ledger to its next start
counts as "down", although the run may have done steps in a part of it. The time
from the end of a run that was done to a start that continues it for more steps
is left out.

MFU (model FLOPs utilisation) is the share of the devices' peak that the model's
FLOPs take. "MFU in steps" counts all steps, and the time in which they were
done. "MFU overall" counts useful steps alone, and the whole wall time.

Exit code: 0 done; 2 WORKDIR has no ledger of a run that has started, or the
page cannot be written.
"""

import argparse
from collections.abc import Sequence
import os
import sys
import time

from rvm_jax.storage import json_lines
from rvm_jax.training import goodput_page
from rvm_jax.training import ledger as ledger_lib
from rvm_jax.training import reporting
from rvm_jax.training import wall_time


def summary(goodput: wall_time.Goodput) -> dict[str, str]:
  """Returns the most important figures as text, by name.

  The MFU is left out if it is not known.
  """
  starts = goodput.starts
  # A few slow intervals do not move the median of the speeds.
  speeds = sorted(speed for *_, speed in goodput.speeds)
  facts = {
      'goodput': percent(goodput.parts['useful steps'] / goodput.total),
      'wall time': reporting.format_seconds(goodput.total),
      'steps done': f'{starts[-1].last:,}',
      'steps per second': (
          f'{speeds[len(speeds) // 2]:.3g}' if speeds else 'not known'
      ),
      'starts': str(len(starts)),
      'steps done again': f'{sum(start.lost for start in starts):,}',
  }
  if goodput.mfu is not None:
    facts['MFU in steps'] = percent(goodput.mfu)
  if goodput.overall_mfu is not None:
    facts['MFU overall'] = percent(goodput.overall_mfu)
  return facts


def part_rows(goodput: wall_time.Goodput) -> list[tuple[str, str, str]]:
  """Returns name, duration and share of each part, as text."""
  return [
      (name, reporting.format_seconds(x), percent(x / goodput.total))
      for name, x in goodput.parts.items()
  ]


# Header of `start_rows`.
START_COLUMNS = (
    'start',
    'down before',
    'steps',
    'ran for',
    'done again',
    'devices',
    'end',
)


def start_rows(goodput: wall_time.Goodput) -> list[tuple[str, ...]]:
  """Returns a row for each start, with the columns `START_COLUMNS`."""
  return [
      (
          time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(start.time)),
          reporting.format_seconds(start.down),
          f'{start.first:,} to {start.last:,}',
          reporting.format_seconds(start.seconds),
          f'{start.lost:,}',
          start.hardware,
          start.end,
      )
      for start in goodput.starts
  ]


def percent(share: float) -> str:
  """Returns a share as a percentage, such as '93.1 %'."""
  return f'{100 * share:.1f} %'


def format_table(rows: Sequence[Sequence[str]]) -> str:
  """Returns rows as text with aligned columns, a line each."""
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = (
      '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
      for row in rows
  )
  return '\n'.join(lines)


def make_page(workdir: str, goodput: wall_time.Goodput) -> str:
  """Returns the page as HTML.

  Args:
    workdir: path of the run's folder, for the title.
    goodput: where the time of the run went.
  """
  begins = [start.time - goodput.starts[0].time for start in goodput.starts]
  return goodput_page.write(
      workdir,
      summary(goodput),
      part_rows(goodput),
      [seconds / goodput.total for seconds in goodput.parts.values()],
      START_COLUMNS,
      start_rows(goodput),
      goodput_page.draw_speeds(goodput.speeds, begins),
  )


def main(arguments: Sequence[str] | None = None) -> int:
  """Prints what the command line asks for; returns the exit code.

  Args:
    arguments: the command line; None for that of the process.
  """
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.training.goodput',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('workdir', metavar='WORKDIR', help='folder of the run')
  parser.add_argument('--html', metavar='FILE', help='page to write')
  options = parser.parse_args(arguments)
  path = os.path.join(options.workdir, ledger_lib.FILE)
  try:
    goodput = wall_time.measure(json_lines.read(path))
    print(format_table(list(summary(goodput).items())))
    print('\n' + format_table(part_rows(goodput)))
    print('\n' + format_table([START_COLUMNS, *start_rows(goodput)]))
    if options.html:
      with open(options.html, 'w', encoding='utf-8') as f:
        f.write(make_page(os.path.abspath(options.workdir), goodput))
      print(f'\nWrote {options.html}')
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
