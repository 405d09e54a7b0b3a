"""The formula's memory is exact for state and batch, and grows as it should."""

import jax
import numpy as np
import pytest

from rvm_jax.training import objectives
from rvm_jax.training import program as program_lib
from rvm_jax.training.plan import formula
from rvm_jax.training.plan import search
from rvm_jax.training.plan import topologies
from rvm_jax.training.plan import tracing
from tests import tiny
from tests.training.objectives import tiny_rivals

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
  # Two moments, the numbers of steps and the random key.
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
  # A device computes 8, 2 and 1 clips at a time. The gradients stay the same.
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


@pytest.fixture
def make_estimator(config, monkeypatch):
  """Returns a function of a topology and a traced gradient for an estimator."""

  def make(topology, fixed_bytes=1000, clip_bytes=10**9, config=config):
    traced = tracing.Traced(fixed_bytes, clip_bytes, 10**12)
    monkeypatch.setattr(tracing, 'trace', lambda *_: traced)
    return formula.Estimator(config, topologies.find(topology))

  return make


def test_temporary_memory_is_that_of_clips_and_gradients(make_estimator):
  estimator = make_estimator('h100:4')
  # 8 clips a device; this model's products are in float32.
  gradients = 2 * 4 * estimator.num_params
  memory = estimator.memory(PLAIN)
  assert memory.temporary == 8 * 10**9 + 1000 + gradients
  memory = estimator.memory(PLAIN._replace(num_microbatches=4))
  assert memory.temporary == 2 * 10**9 + 1000 + gradients


def test_heap_of_tpus_takes_more_than_what_is_kept(make_estimator):
  dots = PLAIN._replace(remat='dots')
  plain = make_estimator('h100:4').memory(dots)
  assert make_estimator('v6e:2x2').memory(dots).temporary > plain.temporary
  # Without rematerialisation the compiler keeps less than JAX would, because it
  # fuses operations.
  assert make_estimator('v6e:2x2').memory(PLAIN).temporary < plain.temporary
  # If there are few activations, the gradients take more than the heap does.
  plain, heap = (
      make_estimator(name, clip_bytes=1).memory(dots)
      for name in ('h100:4', 'v6e:2x2')
  )
  assert heap.temporary == plain.temporary


@pytest.mark.parametrize('dtype, size', [('float32', 4), ('bfloat16', 2)])
def test_copies_of_an_ema_that_makes_targets_are_counted(
    make_estimator, dtype, size
):
  config = tiny_rivals.get_config('vjepa')
  config.data.batch_size = 32
  config.model.dtype = dtype
  objective = objectives.from_config(config)
  params = jax.tree.leaves(jax.eval_shape(objective.init, jax.random.key(0)))
  matrices = sum(x.size for x in params if x.ndim > 1)
  estimator = make_estimator('h100:4', config=config)
  whole = estimator.memory(PLAIN)
  split = estimator.memory(PLAIN._replace(fsdp=4))
  # The clips, the gradients, of which those of vectors are in float32, and the
  # sum of the gradients, which is in float32.
  vectors = estimator.num_params - matrices
  gradients = size * matrices + 4 * vectors + 4 * estimator.num_params
  others = 8 * 10**9 + 1000 + gradients
  if dtype == 'float32':
    # Whole arrays are used without a copy. A device keeps a quarter of each
    # array that is split, and copies all of it.
    num_split = (whole.parameters - split.parameters) * 4 // 3
    assert num_split > 0
    assert whole.temporary == others
    assert split.temporary == others + num_split
  else:
    # Matrices are cast, whether they are split or not.
    assert whole.temporary == split.temporary == others + size * matrices


def test_each_microbatch_adds_a_pass_over_the_gradients(make_estimator):
  estimator = make_estimator('h100:4')
  one, two, four = (
      estimator.estimate(PLAIN._replace(num_microbatches=x)).seconds
      for x in (1, 2, 4)
  )
  # 8 clips of 1 TFLOP each.
  chip = topologies.find('h100:4').chip
  assert one == 8e12 / chip.peak
  passes = 2 * 3 * 4 * estimator.num_params / chip.bandwidth
  assert two - one == pytest.approx(passes, rel=1e-3)
  assert four - two == pytest.approx(passes, rel=1e-3)


def test_search_splits_the_state_only_inside_of_a_slice(make_estimator):
  ranked = make_estimator('2xv6e:2x2', clip_bytes=1).rank()
  assert {x.fsdp for x in ranked} == {1, 2, 4}
