"""The tiny golden checkpoint in every form that can be loaded."""

import pathlib

import pytest

from rvm_jax import weights
from tests.weights import scratch


@pytest.fixture(scope='session')
def tiny():
  """Path of a released `.npz` with encoder, core and decoder."""
  return pathlib.Path(__file__).parents[1] / 'golden' / 'rvm_tiny_params.npz'


@pytest.fixture(params=['npz', 'safetensors', 'workdir', 'checkpoint'])
def source(request, tiny, tmp_path):
  """Path of the parameters of `tiny`, written in one of the formats."""
  if request.param == 'npz':
    return tiny
  model, params = weights.load(tiny)
  if request.param == 'safetensors':
    weights.save_safetensors(tmp_path / 'a.safetensors', params)
    return tmp_path / 'a.safetensors'
  scratch.save_run(tmp_path, model, params)
  is_workdir = request.param == 'workdir'
  return tmp_path if is_workdir else tmp_path / 'checkpoints' / '7'
