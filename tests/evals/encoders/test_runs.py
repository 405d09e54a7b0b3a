"""Tests making encoders of runs, which depend on the objective of the run.

tests/training/objectives/test_rivals.py tests that the features are those of
the objective's `encode`.
"""

import jax
import numpy as np
import pytest

from rvm_jax.evals.encoders import runs
from rvm_jax.evals.encoders import rvm
from rvm_jax.training import objectives
from rvm_jax.weights import runs as runs_lib
from tests.training.objectives import tiny_rivals


@pytest.fixture
def siammae(monkeypatch, tmp_path):
  """A folder that is read as the workdir of a run of SiamMAE."""
  config = tiny_rivals.get_config('siammae')
  objective = objectives.from_config(config)
  params = jax.jit(objective.init)(jax.random.key(5))
  monkeypatch.setattr(runs_lib, 'find_checkpoint', lambda path: path)
  monkeypatch.setattr(runs_lib, 'read_config', lambda path: config.to_dict())
  monkeypatch.setattr(objectives, 'load', lambda path: (objective, params))
  return str(tmp_path)


def test_encoder_has_the_name_of_the_objective_and_its_own_identity(siammae):
  trained, untrained = runs.load(siammae), runs.load_untrained(siammae)
  assert trained.name == 'siammae 16 wide' and trained.patch == 8
  assert untrained.name == 'untrained siammae 16 wide'
  assert trained.identity != untrained.identity
  frames = np.zeros((1, 3, 16, 24, 3), np.uint8)
  assert trained.encode(frames).patches.shape == (1, 3, 2, 3, 16)


def test_files_and_runs_of_an_rvm_are_loaded_as_rvm(siammae, monkeypatch):
  for name in ('load', 'load_untrained'):
    monkeypatch.setattr(rvm, name, lambda path, name=name: (name, path))
    load = getattr(runs, name)
    assert load('any.npz') == (name, 'any.npz')
    with monkeypatch.context() as patch:
      patch.setattr(runs_lib, 'read_config', lambda path: {'objective': 'rvm'})
      assert load(siammae) == (name, siammae)


def test_a_folder_without_a_run_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match='has no checkpoint of a run'):
    runs.load(str(tmp_path))
