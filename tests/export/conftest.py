"""Checkpoints to export, and the command that exports them."""

import pathlib

import jax
import numpy as np
import pytest

from rvm_jax import weights
from rvm_jax.export import __main__ as export
from rvm_jax.models import rvm
from rvm_jax.weights import released

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'


@pytest.fixture(scope='session')
def tiny():
  """Path of a checkpoint with encoder, core and decoder; its patch is 16."""
  return GOLDEN / 'rvm_tiny_params.npz'


@pytest.fixture(scope='session')
def golden_io():
  """Path of inputs and outputs of the released code for `tiny`."""
  return GOLDEN / 'rvm_tiny_io.npz'


@pytest.fixture(scope='session')
def small(tmp_path_factory):
  """Path, model and parameters of encoder and core only, compiled fast."""
  model = rvm.RVM(
      width=8,
      patch=4,
      encoder_layers=1,
      encoder_heads=2,
      encoder_mlp=8,
      core_layers=1,
      core_heads=2,
      core_mlp=8,
      decoder_layers=0,
  )
  rng = np.random.default_rng(0)
  params = jax.tree.map(
      lambda x: rng.standard_normal(x.shape, np.float32),
      released.shapes(model),
  )
  path = tmp_path_factory.mktemp('small') / 'small.npz'
  weights.save_npz(path, params)
  return path, model, params


@pytest.fixture
def run():
  """Runs the command on arguments of any type; returns its exit code."""

  def run_(*arguments):
    return export.main([str(argument) for argument in arguments])

  return run_
