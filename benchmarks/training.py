"""Trains a run as a part of `objectives.py` or `real_video.py`."""

from collections.abc import Mapping
import pathlib
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]


def train(config: str, workdir: pathlib.Path, settings: Mapping[str, Any]):
  """Trains by `python -m rvm_jax.main`, or continues a training.

  Args:
    config: name of the config, such as 'rvm_demo'.
    workdir: folder of the run. The log is written beside it.
    settings: values of the settings to change, by their keys in the config.

  Raises:
    SystemExit: the run has failed.
  """
  print(workdir, flush=True)
  workdir.parent.mkdir(parents=True, exist_ok=True)
  log = workdir.with_name(f'{workdir.name}.log')
  with log.open('a') as output:
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'rvm_jax.main'),
            f'--config=configs/{config}.py',
            f'--workdir={workdir.resolve()}',
            *(f'--config.{key}={x}' for key, x in settings.items()),
        ],
        cwd=ROOT,
        stdout=output,
        stderr=subprocess.STDOUT,
        check=False,
    )
  if done.returncode:
    raise SystemExit(f'{workdir} has failed: see {log}')
