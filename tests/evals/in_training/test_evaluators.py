"""Tests which evaluators a run has."""

import os
import pathlib
import subprocess
import sys

from rvm_jax.evals.in_training import evaluators
from tests import tiny

ROOT = pathlib.Path(__file__).parents[3]


class Data:
  """Training data without videos that are kept out."""

  has_held_out = False

  def first(self, count):
    return {}


def test_scenes_are_evaluated_unless_num_eval_scenes_is_0():
  code = """
import sys
from rvm_jax import main
from rvm_jax.evals.in_training import evaluators
from tests import tiny
from tests.evals.in_training import test_evaluators
config = tiny.get_config()
config.num_eval_scenes = 0
print(*evaluators.open_all(config, test_evaluators.Data()))
print('mujoco' in sys.modules)
config.num_eval_scenes = 16
print(*evaluators.open_all(config, test_evaluators.Data()))
print('mujoco' in sys.modules)
config.data.sources = ('videos',)
print(*evaluators.open_all(config, test_evaluators.Data()))
"""
  done = subprocess.run(
      [sys.executable, '-c', code],
      cwd=ROOT,
      env=os.environ | {'JAX_PLATFORMS': 'cpu'},
      capture_output=True,
      text=True,
      check=True,
  )
  assert done.stdout.splitlines() == [
      'reconstruction',
      'False',
      'reconstruction scenes correspondence',
      'True',
      'reconstruction scenes',
  ]


def test_held_out_videos_are_evaluated_if_there_are_any(monkeypatch):
  data = Data()
  data.has_held_out = True
  made = []
  monkeypatch.setattr(
      evaluators.held_out, 'HeldOutEvaluator', lambda *args: made.append(args)
  )
  config = tiny.get_config()
  config.num_eval_scenes = 0
  found = evaluators.open_all(config, data, check := lambda: None)
  assert list(found) == ['reconstruction', 'held_out']
  assert made == [(config, data, check)]
