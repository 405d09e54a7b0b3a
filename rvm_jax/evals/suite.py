r"""Scores several checkpoints on all benchmarks whose data are there.

  python -m rvm_jax.evals.suite --checkpoints runs/large \
      dinov2:/weights/dinov2-large dinov2-fair:/weights/dinov2-large \
      --data_root /data --out results/suite

A checkpoint is named as for `rvm_jax.evals.run`. A benchmark runs if DATA_ROOT
has a folder with its name, or with the name that docs/datasets gives the folder
(DAVIS, jhmdb, VIP, SSV2, K700, PT, WAYMO, SCANNET), in upper or lower case. The
benchmark on generated scenes needs no data. Each benchmark runs with the
settings of its config in --configs, except for `resize_to_patch`: it is True
for generated scenes and False for all other data.

--out gets
  table.md      a table with a row for each checkpoint and task: the score, a
                tag for the protocol, and the published score of this model in
                this protocol, if there is one, with the difference
  table.json    the same for programs, with the benchmarks that did not run
  results/      a result folder of `rvm_jax.evals.run` for each checkpoint and
                benchmark
  work/         features and checkpoints of readouts

If the command is stopped, the same command continues: finished results are not
computed again. If a benchmark fails because of a wrong file or setting, a
missing package or too little memory, the others go on.

Exit code: 0 all benchmarks that were found are done; 1 some failed, and
table.md says why; 2 an input is wrong, and no benchmark is run.
"""

import argparse
from collections.abc import Sequence
import json
import os
import pathlib
import re
import runpy
import sys
from typing import Any

from absl import logging

from rvm_jax.evals import run as run_lib
from rvm_jax.evals import suite_table
from rvm_jax.evals import table
from rvm_jax.evals.encoders import centering
from rvm_jax.evals.encoders import loading
from rvm_jax.evals.encoders import sizes
from rvm_jax.runtime import lock
from rvm_jax.storage import files
from rvm_jax.storage import fingerprints
from rvm_jax.storage import settings
from rvm_jax.training import logs

# Name that docs/datasets gives the folder of a data set, for the benchmarks
# whose name is another one.
_FOLDERS = {
    'ssv2': 'SSV2',
    'kinetics': 'K700',
    'perception_test': 'PT',
}
# Errors of one benchmark, such as too many broken files or too little memory on
# the device, after which the suite continues with the next one.
_FAILURES = ImportError, OSError, RuntimeError, ValueError

Config = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the suite that the command line asks for; returns the exit code.

  Args:
    arguments: the command line without the program's name; None reads
      `sys.argv`.
  """
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.evals.suite',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
      '--checkpoints',
      nargs='+',
      required=True,
      metavar='CHECKPOINT',
      help='names of encoders, as for rvm_jax.evals.run',
  )
  parser.add_argument('--data_root', help='folder with the data sets')
  parser.add_argument('--out', required=True, help='folder for everything')
  parser.add_argument(
      '--configs',
      default='configs',
      help='folder with the eval_*.py (default: %(default)s)',
  )
  options = parser.parse_args(arguments)
  logging.use_absl_handler()
  logging.set_verbosity(logging.INFO)
  logging.get_absl_handler().addFilter(logs.is_ours_or_urgent)
  try:
    return run(**vars(options))
  except (ImportError, OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2


def run(
    checkpoints: Sequence[str], data_root: str | None, out: str, configs: str
) -> int:
  """Runs all benchmarks whose data are there, for all checkpoints.

  Args:
    checkpoints: names of encoders; one that is given twice counts once.
    data_root: folder with the data sets; None if there are none.
    out: folder for results and tables.
    configs: folder with the configs `eval_*.py`.

  Returns:
    The exit code, 0 or 1.

  Raises:
    OSError: a checkpoint or a folder is missing, another process uses `out`, or
      it cannot be written.
    ImportError: a checkpoint needs a package that is not installed.
    ValueError: a path holds no checkpoint; there are no configs, or two of one
      benchmark; there are two folders of one data set; or `out` has results of
      other parameters or settings.
  """
  benchmarks = _load_configs(pathlib.Path(configs))
  missing = _find_data(benchmarks, data_root)
  for name, config in benchmarks.items():
    print(f'{name}: {config.get("data_dir") or "generates its data"}')
  print(f'No data: {", ".join(missing) or "none"}')
  # All checkpoints are loaded once before the work begins, so that a wrong one
  # is found at once.
  identities, centred = {}, {}
  for name in checkpoints:
    encoder = loading.load(name)
    identities[name] = encoder.identity
    centred[name] = encoder.center_frames
  failures: list[Config] = []
  with lock.held(out):
    folders = [
        (checkpoint, name, _folder(out, 'results', checkpoint, name))
        for checkpoint in identities
        for name in benchmarks
    ]
    done = {
        key: _read(
            key[2], identities[key[0]], centred[key[0]], benchmarks[key[1]]
        )
        for key in folders
        if key[2].exists()
    }
    _write(pathlib.Path(out), folders, done, missing, failures)
    for key in folders:
      checkpoint, name, folder = key
      if key in done:
        print(f'{checkpoint}, {name}: done before')
        continue
      trains = run_lib.BENCHMARKS[name].trains
      workdir = _folder(out, 'work', checkpoint, name) if trains else None
      try:
        run_lib.run(
            checkpoint,
            str(folder),
            workdir and str(workdir),
            **benchmarks[name],
        )
      except _FAILURES as error:
        reason = ' '.join(str(error).split())
        print(f'{checkpoint}, {name}: failed: {reason}', file=sys.stderr)
        failures.append(
            {'checkpoint': checkpoint, 'benchmark': name, 'reason': reason}
        )
      else:
        done[key] = table.read(str(folder / 'result.json'))
        print(f'{checkpoint}, {name}: done')
      _write(pathlib.Path(out), folders, done, missing, failures)
  print((pathlib.Path(out) / 'table.md').read_text())
  return 1 if failures else 0


def _load_configs(folder: pathlib.Path) -> dict[str, Config]:
  """Returns the config of each benchmark, by the benchmark's name."""
  paths = sorted(folder.glob('eval_*.py'))
  if not paths:
    raise ValueError(
        f'{folder} has no eval_*.py: start from the folder of the repository,'
        ' or set --configs'
    )
  configs = {}
  for path in paths:
    config = runpy.run_path(str(path))['get_config']().to_dict()
    name = config['benchmark']
    if name not in run_lib.BENCHMARKS:
      known = ', '.join(run_lib.BENCHMARKS)
      raise ValueError(f'{path}: benchmark={name!r} must be one of {known}')
    if name in configs:
      raise ValueError(f'{folder} has two configs of the benchmark {name}')
    # Scenes can be generated at any size. For files the size of the frames is
    # part of the protocol.
    config['resize_to_patch'] = run_lib.BENCHMARKS[name].generates
    configs[name] = config
  return configs


def _find_data(
    configs: dict[str, Config], data_root: str | None
) -> dict[str, str]:
  """Sets `data_dir` in `configs`, and removes the configs without data.

  Returns:
    The reason of each removal, by the benchmark's name.
  """
  if data_root and not os.path.isdir(data_root):
    raise FileNotFoundError(
        f'--data_root={data_root} must be the folder with the data sets, but is'
        ' not a folder; leave it out to use generated scenes alone'
    )
  entries = sorted(os.listdir(data_root)) if data_root else []
  missing = {}
  for name in list(configs):
    if run_lib.BENCHMARKS[name].generates:
      continue
    names = sorted({name, _FOLDERS.get(name, name).lower()})
    found = [entry for entry in entries if entry.lower() in names]
    if len(found) > 1:
      raise ValueError(
          f'{data_root} has several folders of {name}: {", ".join(found)}. Keep'
          ' one of them, or take another --data_root with links'
      )
    if found:
      configs[name]['data_dir'] = os.path.join(data_root or '', found[0])
    else:
      place = f' in {data_root}' if data_root else ': --data_root is not set'
      missing[name] = f'no folder {" or ".join(names)}{place}'
      del configs[name]
  return missing


def _folder(out: str, kind: str, checkpoint: str, name: str) -> pathlib.Path:
  """Returns OUT/KIND/TEXT-DIGITS/NAME for a checkpoint and a benchmark.

  TEXT is the end of the checkpoint's name, for people to read. DIGITS are a
  hash of the whole name, because two names can have the same TEXT.
  """
  digits = fingerprints.hash_parts([checkpoint.encode()])[:8]
  text = re.sub(r'[^A-Za-z0-9.]+', '-', checkpoint)[-60:].strip('-.')
  return pathlib.Path(out) / kind / f'{text}-{digits}' / name


def _read(
    folder: pathlib.Path, identity: str, center_frames: bool, config: Config
) -> dict[str, Any]:
  """Reads a finished result, which must have this identity and protocol."""
  result = table.read(str(folder / 'result.json'))
  protocol = config['protocol']
  if config['resize_to_patch']:
    # The result has the size that was fitted to the encoder's patch.
    protocol = sizes.fit(
        protocol, result['model']['patch'], resize_to_patch=True
    )
  saved = {
      'identity': result['model']['identity'],
      'protocol': centering.settle(result['protocol'], False),
  }
  now = {
      'identity': identity,
      'protocol': centering.settle(protocol, center_frames),
  }
  if differences := settings.list_differences(saved, now):
    lines = '; '.join(f'{key}: {text}' for key, text in differences.items())
    raise ValueError(
        f'{folder} is a result of other weights or settings: {lines}. Delete'
        ' it, or take another --out'
    )
  return result


def _write(out, folders, done, missing, failures):
  """Writes table.json and table.md, replacing earlier ones."""
  rows = [
      suite_table.make_row(checkpoint, str(folder.relative_to(out)), column)
      for checkpoint, name, folder in folders
      if (checkpoint, name, folder) in done
      for column in table.split(done[checkpoint, name, folder])
  ]
  rows.sort(key=lambda row: row['benchmark'])
  waiting = len(folders) - len(done) - len(failures)
  contents = {
      'rows': rows,
      'failed': failures,
      'without_data': missing,
      'num_waiting': waiting,
  }
  text = json.dumps(contents, indent=2) + '\n'
  files.replace_text(out / 'table.json', text)
  files.replace_text(out / 'table.md', suite_table.format_table(contents))


if __name__ == '__main__':
  sys.exit(main())
