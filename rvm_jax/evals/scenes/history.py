"""Reads the losses and finds the pictures that a run left in its workdir."""

import os
import re
from typing import NamedTuple

import numpy as np

from rvm_jax.storage import json_lines
from rvm_jax.training import reporting

_PICTURE = re.compile(r'reconstruction_clips_(\d+)\.png')


class History(NamedTuple):
  """The scalars of a run that the demo's page shows.

  Attributes:
    steps: numbers of the n steps whose loss was written, int [n], n at least 1.
    losses: training loss of these steps, float [n].
    clips: number of clips that the run has trained on.
    seconds: time from the first line of metrics.jsonl to the last, including
      evaluations, and pauses if the run was resumed.
  """

  steps: np.ndarray
  losses: np.ndarray
  clips: int
  seconds: float


def read(workdir: str) -> History | None:
  """Reads the history of a run from metrics.jsonl in its workdir.

  Args:
    workdir: folder of the run.

  Returns:
    The history; None if there is no such file or no loss in it. Runs of version
    0.1.0 did not write the file.

  Raises:
    OSError: the file cannot be read.
  """
  path = os.path.join(workdir, reporting.METRICS)
  if not os.path.exists(path):
    return None
  records = json_lines.read(path)
  # A loss that was not finite was written as null, and is left out.
  losses = {
      record['step']: record
      for record in records
      if 'train/loss' in record and record['train/loss'] is not None
  }
  if not losses:
    return None
  return History(
      np.array([*losses]),
      np.array([record['train/loss'] for record in losses.values()]),
      int([*losses.values()][-1]['train/clips_seen']),
      records[-1]['time'] - records[0]['time'],
  )


def find_reconstructions(workdir: str, num: int) -> dict[int, str]:
  """Finds pictures of reconstructions, spread evenly over the evaluations.

  Args:
    workdir: folder of the run.
    num: greatest number of pictures, at least 2.

  Returns:
    Paths of the pictures by step, the first and the last among them; empty if
    the run has none.
  """
  folder = os.path.join(workdir, 'pictures')
  names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
  found = [(int(m[1]), m[0]) for m in map(_PICTURE.fullmatch, names) if m]
  if not found:
    return {}
  places = np.linspace(0, len(found) - 1, min(num, len(found))).round()
  return {
      step: os.path.join(folder, name)
      for step, name in (found[int(place)] for place in places)
  }
