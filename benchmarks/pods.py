"""Compiles the training step of every size for many slices and machines.

  python benchmarks/pods.py                  # compiles the missing cells
  python benchmarks/pods.py large.v6e-256    # compiles these cells again
  python benchmarks/pods.py --table          # only makes the tables
  python benchmarks/pods.py --check          # checks bounds of S on v6e:2x4

A cell is a size and a slice of TPUs or a machine with GPUs, such as
large.v6e-256. Each cell is compiled in a process of its own, with the settings
that `python -m rvm_jax.training.plan --search` chooses. Its numbers are kept as
JSON in benchmarks/pods/ with the versions of JAX and of the compiler. A cell
takes minutes to a quarter of an hour on two cores. Cells of TPUs need the extra
`tpu-plan`, those of GPUs `gpu-plan`. The tables of docs/pods.md are then made
from all numbers that are there; this needs neither extra.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / 'benchmarks' / 'pods'
PAGE = ROOT / 'docs' / 'pods.md'
BEGIN, END = '<!-- begin: benchmarks/pods.py -->', '<!-- end -->'

SIZES = {'small': 'S', 'base': 'B', 'large': 'L', 'huge': 'H'}
SLICES = {
    'v5e-256': 'v5e:16x16',
    'v5p-128': 'v5p:4x4x8',
    'v6e-256': 'v6e:16x16',
    '2xv6e-256': '2xv6e:16x16',
    '8xh100': 'h100:8',
}
CELLS = [f'{size}.{name}' for size in SIZES for name in SLICES]

COLUMNS = (
    'size',
    'devices',
    'settings (remat, fsdp, microbatches)',
    'memory, GB',
    'HBM traffic, GB',
    'ms at least',
    'MFU at most',
    'ms estimated',
    'elements reduced / parameters',
)

# `--check` compiles the sizes in BOUNDS with their shipped settings for 8 chips
# with 8 clips each. BOUNDS has the greatest values that it allows, by name.
CHECKED_BATCH, CHECKED_SLICE = 64, 'v6e:2x4'
BOUNDS = {
    'small': {
        'HBM traffic, GB': 20.0,
        "compiler's estimate, ms": 40.0,
        'elements reduced / parameters': 1.05,
    },
}


def plan(size: str, topology: str, path: pathlib.Path, *options: str) -> str:
  """Runs `python -m rvm_jax.training.plan` and returns what it prints.

  Args:
    size: a key of `SIZES`.
    topology: name of the devices, such as 'v6e:16x16'.
    path: file for the numbers as JSON, which is replaced.
    *options: further arguments of the command.
  """
  path.unlink(missing_ok=True)
  done = subprocess.run(
      [
          *(sys.executable, '-m', 'rvm_jax.training.plan'),
          f'--config=configs/rvm_{size}.py',
          f'--topology={topology}',
          f'--json={path}',
          *options,
      ],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      text=True,
      check=False,
  )
  return done.stdout


def compile_cell(cell: str):
  """Compiles a cell of the table; keeps its numbers if it was compiled."""
  size, name = cell.split('.')
  RESULTS.mkdir(exist_ok=True)
  with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
    path = pathlib.Path(folder) / 'plan.json'
    print(plan(size, SLICES[name], path, '--search'), flush=True)
    if not path.exists():
      print(f'{cell}: no plan', flush=True)
      return
    numbers = json.loads(path.read_text())
    if numbers['program'] is None:
      print(f'{cell}: not compiled: {numbers["obstacle"]}', flush=True)
    else:
      path.replace(RESULTS / f'{cell}.json')


def make_table() -> str:
  """Returns the table of all cells and that of their costliest parts."""
  lines = [f'| {" | ".join(COLUMNS)} |', '|---' * len(COLUMNS) + '|']
  parts, versions = [], set()
  for size, letter in SIZES.items():
    for name in SLICES:
      path = RESULTS / f'{size}.{name}.json'
      if not path.exists():
        lines.append(f'| {letter} | {name} | not compiled | | | | | | |')
        continue
      numbers = json.loads(path.read_text())
      lines.append(f'| {letter} | {name} | {" | ".join(list_cell(numbers))} |')
      parts.append(f'| {letter} | {name} | {list_parts(numbers)} |')
      versions |= {' '.join(x) for x in numbers['versions'].items()}
  if parts:
    lines += [
        '',
        '| size | devices | the five costliest parts |',
        '|---|---|---|',
    ]
    lines += [*parts, '', f'Compiled with {", ".join(sorted(versions))}.']
  return '\n'.join(lines)


def list_cell(numbers: dict) -> list[str]:
  """Returns the columns of a cell's row, except for size and devices."""
  settings, program = numbers['settings'], numbers['program']
  least, estimated = numbers['least_seconds'], numbers['estimated_seconds']
  memory = numbers['memory']['total'], numbers['memory_limit']
  return [
      ', '.join(map(str, settings.values())),
      ' of '.join(f'{x / 1e9:.1f}' for x in memory),
      f'{program["hbm_bytes"] / 1e9:.1f}',
      f'{least * 1e3:.1f}',
      f'{numbers["model_seconds"] / least:.0%}',
      f'{estimated * 1e3:.1f}' if estimated else 'no estimate',
      f'{numbers["reduced_share"]:.2f}',
  ]


def list_parts(numbers: dict) -> str:
  """Returns the five costliest parts of a step, in one line."""
  return ', '.join(
      f'{part["name"]} '
      + (
          f'{part["seconds"] * 1e3:.1f} ms'
          if part['seconds']
          else f'{part["hbm_bytes"] / 1e9:.1f} GB'
      )
      for part in numbers['program']['parts'][:5]
  )


def write_page():
  """Puts the tables between the two markers of docs/pods.md."""
  text = PAGE.read_text()
  before, rest = text.split(BEGIN)
  _, after = rest.split(END)
  PAGE.write_text(f'{before}{BEGIN}\n{make_table()}\n{END}{after}')


def check() -> int:
  """Compiles the sizes of `BOUNDS` and returns the number of broken bounds."""
  broken = 0
  for size, bounds in BOUNDS.items():
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'plan.json'
      batch = f'--config.data.batch_size={CHECKED_BATCH}'
      print(plan(size, CHECKED_SLICE, path, batch), flush=True)
      numbers = json.loads(path.read_text())
    if numbers['program'] is None:
      raise SystemExit(f'not compiled: {numbers["obstacle"]}')
    found = {
        'HBM traffic, GB': numbers['program']['hbm_bytes'] / 1e9,
        "compiler's estimate, ms": numbers['estimated_seconds'] * 1e3,
        'elements reduced / parameters': numbers['reduced_share'],
        'temporary, GB': numbers['memory']['temporary'] / 1e9,
    }
    for key, most in bounds.items():
      is_kept = found[key] <= most
      broken += not is_kept
      word = 'ok' if is_kept else 'BROKEN'
      print(f'{word}: {SIZES[size]}: {key}: {found[key]:.2f} of {most}')
  return broken


def main():
  """Compiles cells, makes the page, or checks bounds."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      'cells', nargs='*', metavar='CELL', help='such as large.v6e-256'
  )
  parser.add_argument(
      '--table', action='store_true', help='compile nothing, make the tables'
  )
  parser.add_argument('--check', action='store_true', help='check bounds of S')
  arguments = parser.parse_args()
  if unknown := sorted(set(arguments.cells) - set(CELLS)):
    parser.error(f'unknown cells {unknown}; known are {", ".join(CELLS)}')
  if arguments.check:
    sys.exit(1 if check() else 0)
  if not arguments.table:
    missing = [x for x in CELLS if not (RESULTS / f'{x}.json').exists()]
    for cell in arguments.cells or missing:
      compile_cell(cell)
  write_page()


if __name__ == '__main__':
  main()
