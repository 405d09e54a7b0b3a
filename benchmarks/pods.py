"""Compiles the step of every size for every slice, and makes a table of it.

  python benchmarks/pods.py                  # compiles what is missing
  python benchmarks/pods.py large.v6e-256    # some cells, again
  python benchmarks/pods.py --table          # docs/pods.md from what is there
  python benchmarks/pods.py --check          # bounds of S on v6e:2x4

Each cell is compiled alone, in a process of its own, with the settings that
`python -m rvm_jax.training.plan --search` chooses, and kept as JSON in
benchmarks/pods/ with the versions of JAX and of the compiler. A cell takes
minutes to a quarter of an hour on two cores. Cells of TPUs need the extra
`tpu-plan`, those of GPUs `gpu-plan`, and the table is made without either.
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

# What `--check` compiles: 8 clips a chip on 8 chips, with the shipped settings,
# and the greatest values that it allows, by the key in the JSON.
CHECKED_BATCH, CHECKED_SLICE = 64, 'v6e:2x4'
BOUNDS = {
    'small': {
        'HBM traffic, GB': 20.0,
        "compiler's estimate, ms": 40.0,
        'elements reduced / parameters': 1.05,
    },
}


def plan(size: str, topology: str, path: pathlib.Path, *options: str) -> str:
  """Plans a run in a process of its own.

  Args:
    size: a key of `SIZES`.
    topology: name of the devices.
    path: file for the numbers, which is replaced.
    *options: further options of the command.

  Returns:
    What the command prints.
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
  """Compiles a cell of the table and keeps its numbers if that worked."""
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
  """Returns the table of all cells, and what the costliest parts are."""
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
  """Returns the columns of a cell after its size and its devices."""
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
  """Puts the table between the two markers of the page."""
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
  """Compiles, makes the table, or checks bounds."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('cells', nargs='*', metavar='CELL')
  parser.add_argument('--table', action='store_true')
  parser.add_argument('--check', action='store_true')
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
