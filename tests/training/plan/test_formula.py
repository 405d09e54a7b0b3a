"""The formula: exact where shapes decide."""

import jax
import numpy as np
import pytest

from rvm_jax.training import objectives
from rvm_jax.training import program as program_lib
from rvm_jax.training.plan import formula
from rvm_jax.training.plan import search
from rvm_jax.training.plan import topologies
from tests import tiny

PLAIN = search.Settings('none', 1, 1)


@pytest.fixture(scope='module')
def config():
  config = tiny.get_config()
  config.data.batch_size = 32
  return config


@pytest.fixture(scope='module')
def estimator(config):
  return formula.Estimator(config, topologies.find('v6e:2x2'))


def test_state_is_that_of_a_real_run(config, estimator):
  objective = objectives.from_config(config)
  program = program_lib.build(config, objective, jax.devices()[:1])
  with jax.set_mesh(program.mesh):
    state = program.init(0)
  size = sum(x.nbytes for x in jax.tree.leaves(state.params))
  memory = estimator.memory(PLAIN)
  assert memory.parameters == size
  assert memory.parameters == 4 * estimator.num_params
  # Two moments, the steps and the key.
  assert memory.optimizer == pytest.approx(2 * size, abs=64)


def test_batch_is_divided_by_devices(config, estimator):
  batch = objectives.from_config(config).batch.values()
  size = sum(np.prod(x.shape) * x.dtype.itemsize for x in batch)
  assert estimator.memory(PLAIN).batch == size / 4


def test_fsdp_divides_the_state(estimator):
  whole = estimator.memory(PLAIN)
  split = estimator.memory(PLAIN._replace(fsdp=4))
  # Small arrays stay whole, and this model has many.
  assert whole.parameters / 4 < split.parameters < whole.parameters
  assert split.batch == whole.batch


def test_microbatches_divide_what_grows_with_clips(estimator):
  four, eight = (
      estimator.memory(PLAIN._replace(num_microbatches=x)) for x in (4, 8)
  )
  one = estimator.memory(PLAIN)
  # From one part on there is a sum of gradients besides.
  assert four.temporary - eight.temporary < one.temporary - four.temporary


def test_estimate_grows_with_what_is_computed_again(estimator):
  times = [
      estimator.estimate(PLAIN._replace(remat=x)).seconds
      for x in ('none', 'dots', 'full')
  ]
  assert times == sorted(times)
  plain = estimator.estimate(PLAIN)
  assert estimator.estimate(PLAIN._replace(fsdp=2)).seconds > plain.seconds


def test_memory_of_a_compiler_keeps_the_state():
  memory = formula.Memory(10, 20, 5, 100)
  assert memory.with_compiled(36, 50) == (10, 20, 6, 50)
  assert memory.with_total(200).total == 200
