"""Steps are compiled for absent devices, if their compilers are installed."""

import importlib.util

import pytest

from rvm_jax.training.plan import compiler
from rvm_jax.training.plan import planning
from rvm_jax.training.plan import topologies
from tests import tiny

# A message of libtpu.
HBM = (
    'the total memory required for HLO temporaries (447.27G) exceeds available'
    ' HBM (31.25G)'
)


@pytest.mark.parametrize(
    'message, gib',
    [
        (HBM, 447.27),
        ('Used 40.5G of 31.25G hbm. Exceeded by 9G', 40.5),
        ('something else', None),
    ],
)
def test_needed_memory_is_read_from_the_message(message, gib):
  assert compiler._find_needed(message) == (gib and int(gib * 2**30))


@pytest.fixture
def config():
  config = tiny.get_config()
  config.data.batch_size = 16
  return config


def test_step_is_compiled_for_tpus(config):
  pytest.importorskip('libtpu', reason='needs the extra tpu-plan')
  topology = topologies.find('v6e:2x2')
  plan = planning.make(config, 'tiny', topology, is_compiled=True)
  assert plan.obstacle == '' and plan.is_fitting
  assert plan.program.hbm_bytes > plan.memory.parameters
  assert plan.estimated_seconds > 0
  # Each gradient is reduced once, and so is the loss.
  assert 1 <= plan.reduced_share < 1.05


def test_step_is_compiled_for_gpus(config):
  if not importlib.util.find_spec('jax_cuda12_plugin'):
    pytest.skip('needs the extra gpu-plan')
  topology = topologies.find('h100:2')
  plan = planning.make(config, 'tiny', topology, is_compiled=True)
  assert plan.obstacle == '' and plan.is_fitting
  assert plan.estimated_seconds is None
  assert 1 <= plan.reduced_share < 1.05
