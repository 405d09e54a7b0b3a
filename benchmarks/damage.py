"""Damages the newest checkpoint of a run in many ways and starts it again.

  python benchmarks/damage.py --workdir=DIR

A run with the tiny model of tests/tiny.py leaves checkpoints of the steps 10,
20 and 30. For each kind of damage the checkpoint of step 30 is damaged in a
copy of the workdir, and `experiments/launch.py --backend=local` starts the run
again. The run must resume from step 20, say so in one line that names the
damaged checkpoint, and end with exit code 0. Its last step must equal that of a
run without damage bit for bit. The command prints a table and ends with exit
code 1 if a run fails or ends differently.
"""

import argparse
from collections.abc import Callable
import os
import pathlib
import shutil
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import runs
import saved

# Step of the checkpoint that is damaged, and last step of the run.
_NEWEST = 30
_END = 40


def _data(folder):
  """Returns the files that hold the arrays of a checkpoint."""
  return [path for path in (folder / 'state').rglob('d/*') if path.is_file()]


def flip_bits(folder: pathlib.Path):
  """Flips all bits of 32 bytes in the middle of each file of arrays."""
  for path in _data(folder):
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 32] = (255 - x for x in data[middle : middle + 32])
    path.write_bytes(data)


def flip_one_bit(folder: pathlib.Path):
  """Flips one bit near the end of each file of arrays."""
  for path in _data(folder):
    data = bytearray(path.read_bytes())
    data[len(data) * 9 // 10] ^= 1
    path.write_bytes(data)


def truncate(folder: pathlib.Path):
  """Cuts each file of arrays in half."""
  for path in _data(folder):
    os.truncate(path, path.stat().st_size // 2)


def delete_files(folder: pathlib.Path):
  """Deletes the files of arrays."""
  for path in _data(folder):
    path.unlink()


def zero_files(folder: pathlib.Path):
  """Fills the files of arrays with zeros."""
  for path in _data(folder):
    path.write_bytes(bytes(path.stat().st_size))


def empty_folder(folder: pathlib.Path):
  """Leaves only the empty folder of the checkpoint."""
  shutil.rmtree(folder)
  folder.mkdir()


def damage_metadata(folder: pathlib.Path):
  """Writes garbage over the description of the arrays."""
  (folder / 'state' / '_METADATA').write_text('{"tree_metadata": 17')


def damage_position(folder: pathlib.Path):
  """Changes the saved position in the data."""
  path = folder / 'data' / 'metadata'
  path.write_text(path.read_text().replace('0', '1'))


def damage_config(folder: pathlib.Path):
  """Cuts the saved config in half."""
  path = folder / 'config' / 'metadata'
  path.write_text(path.read_text()[: path.stat().st_size // 2])


def make_unreadable(folder: pathlib.Path):
  """Replaces the files of arrays by links to themselves."""
  # Permissions would not do: root may read any file.
  for path in _data(folder):
    path.unlink()
    path.symlink_to(path.name)


def write_nan(folder: pathlib.Path):
  """Writes all arrays anew, with a NaN in the largest one."""
  state = saved.read_state(folder / 'state')
  leaves, structure = jax.tree.flatten(state)
  largest = max(range(len(leaves)), key=lambda i: leaves[i].size)
  leaves[largest] = leaves[largest].copy()
  leaves[largest].flat[0] = np.nan
  with ocp.PyTreeCheckpointer() as checkpointer:
    state = jax.tree.unflatten(structure, leaves)
    checkpointer.save(folder / 'state', state, force=True)


def leave_unfinished(folder: pathlib.Path):
  """Renames the checkpoint to one that was being written when the run died."""
  folder.rename(folder.with_name(f'{folder.name}.orbax-checkpoint-tmp'))


KINDS: tuple[Callable[[pathlib.Path], None], ...] = (
    flip_bits,
    flip_one_bit,
    truncate,
    delete_files,
    zero_files,
    empty_folder,
    damage_metadata,
    damage_position,
    damage_config,
    make_unreadable,
    write_nan,
    leave_unfinished,
)


def launch(
    workdir: pathlib.Path, cache: pathlib.Path
) -> tuple[runs.Launch, int]:
  """Starts or resumes a run and waits for its last step.

  Args:
    workdir: folder of the run.
    cache: folder of the cache of compiled programs.

  Returns:
    The launch, which has ended, and its exit code.
  """
  launched = runs.Launch(
      workdir,
      cache,
      '--max_restarts=0',
      f'--config.num_steps={_END}',
      '--config.num_eval_scenes=0',
      '--config.checkpoint.save_every=10',
      '--config.checkpoint.keep_last=9',
      processes=1,
  )
  return launched, launched.end(600)


def try_damage(
    damage: Callable[[pathlib.Path], None], workdir: pathlib.Path
) -> list[str]:
  """Damages a copy of the run, starts it again and makes a row of the table.

  Args:
    damage: function that damages the checkpoint in a folder.
    workdir: folder with the undamaged run up to step 30 in 'whole', the same
      run up to its last step in 'end', and the cache in 'compiled'.

  Returns:
    Description of the damage, exit code, step that the run resumed from,
    whether its last step equals that in 'end', seconds, and the line in which
    the run names the damaged checkpoint, or else the number of such lines.
  """
  folder = workdir / damage.__name__
  shutil.copytree(workdir / 'whole', folder)
  damage(folder / 'checkpoints' / str(_NEWEST))
  began = time.monotonic()
  launched, code = launch(folder, workdir / 'compiled')
  seconds = time.monotonic() - began
  (attempt,) = launched.attempts()
  said = [
      line.text.partition('] ')[2].strip()
      for line in launched.lines
      if f'checkpoints/{_NEWEST}' in line.text
  ]
  is_same = code == 0 and saved.read(folder, _END) == saved.read(
      workdir / 'end', _END
  )
  return [
      damage.__doc__.rstrip('.'),
      str(code),
      str(attempt.resumed),
      'yes' if is_same else '**no**',
      f'{seconds:.0f}',
      said[0][said[0].find(str(folder)) :].replace(f'{folder}/', '')
      if len(said) == 1
      else f'{len(said)} lines',
  ]


def main():
  """Tries each kind of damage and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      '--only', default='', help='part of the name of the kinds to try'
  )
  parser.add_argument(
      '--workdir', type=pathlib.Path, required=True, help='new or empty folder'
  )
  options = parser.parse_args()
  workdir = runs.new_folder(options.workdir)
  _, code = launch(workdir / 'whole', workdir / 'compiled')
  if code:
    raise SystemExit(f'the undamaged run failed, see {workdir}/whole.log')
  shutil.copytree(workdir / 'whole', workdir / 'end')
  shutil.rmtree(workdir / 'whole' / 'checkpoints' / str(_END))
  rows = []
  for kind in KINDS:
    if options.only in kind.__name__:
      rows.append(try_damage(kind, workdir))
      print(f'{kind.__name__}: {rows[-1][1:]}', flush=True)
  heads = 'damage', 'exit code', 'resumed from', 'same end', 'seconds', 'said'
  runs.print_table(heads, rows)
  failed = [row for row in rows if row[1] != '0' or '**' in row[3]]
  raise SystemExit(bool(failed))


if __name__ == '__main__':
  main()
