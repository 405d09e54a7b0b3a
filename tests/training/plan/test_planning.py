"""Plans without a compiler: what is checked, advised and searched."""

import importlib.metadata
import re

import pytest

from rvm_jax.training.plan import compiler
from rvm_jax.training.plan import formula
from rvm_jax.training.plan import kernels
from rvm_jax.training.plan import planning
from rvm_jax.training.plan import search
from rvm_jax.training.plan import tables
from rvm_jax.training.plan import topologies
from tests import tiny

TOPOLOGY = topologies.find('v6e:2x2')


def make_config(**settings):
  """Returns the tiny config with a batch of 32 and other settings."""
  config = tiny.get_config()
  config.data.batch_size = 32
  config.update(settings)
  return config


def with_memory(num_bytes):
  """Returns the topology with `num_bytes` of memory in each chip."""
  return TOPOLOGY._replace(chip=TOPOLOGY.chip._replace(memory=num_bytes))


def make(config, topology=TOPOLOGY, is_compiled=False):
  return planning.make(config, 'tiny', topology, is_compiled=is_compiled)


@pytest.mark.parametrize(
    'settings, hints',
    [
        ({'fsdp': 3}, ['config.fsdp=3', 'use 2']),
        ({'fsdp': 8}, ['config.fsdp=8', 'use 4']),
        ({'data': {'batch_size': 6}}, ['batch_size=6', 'use 4 or 8']),
        ({'num_microbatches': 3}, ['3 microbatches', 'use 24 or 36']),
        ({'model': {'remat': 'most'}}, ['config.model.remat']),
    ],
)
def test_wrong_settings_name_the_value_to_use(settings, hints):
  with pytest.raises(ValueError) as caught:
    make(make_config(**settings))
  for hint in hints:
    assert hint in str(caught.value)


def test_state_is_split_only_inside_of_a_slice():
  with pytest.raises(ValueError) as caught:
    make(make_config(fsdp=8), topologies.find('2xv6e:2x2'))
  assert 'must divide the 4 devices of a slice' in str(caught.value)


def test_plan_that_does_not_fit_says_what_to_change():
  config = make_config()
  needed = make(config).memory.total
  plan = make(config, with_memory(needed - 1))
  assert not plan.is_fitting
  assert make(search.apply(plan.advice, config)).memory.total < needed
  assert f'Set {plan.advice}' in tables.judge(plan)


def test_plan_that_fits_nowhere_says_so():
  config, topology = make_config(), with_memory(1000)
  assert 'Take more chips' in tables.judge(make(config, topology))
  with pytest.raises(ValueError) as caught:
    planning.find(config, 'tiny', topology, is_compiled=False)
  # Without a fused kernel, 'attention' keeps as little as 'full'.
  assert re.search(
      r'remat=(full|attention) .*fsdp=4 .*needs the least', str(caught.value)
  )


def test_search_takes_the_next_settings_if_the_compiler_disagrees(monkeypatch):
  tried = []

  def compile_step(config, topology):
    tried.append(search.of_config(config))
    if len(tried) < 3:
      raise compiler.DoesNotFit('RESOURCE_EXHAUSTED', 10**12)
    return compiler.Compiled(PROGRAM, 1000, 2000, 1.0, 2.0)

  monkeypatch.setattr(compiler, 'compile_step', compile_step)
  plan = planning.find(make_config(), 'tiny', TOPOLOGY, is_compiled=True)
  assert plan.settings == tried[2]
  assert len(set(tried)) == 3
  assert plan.memory.total == 3000


PROGRAM = """ENTRY %main (x: f32[64]) -> f32[64] {
  %x = f32[64] parameter(0)
  ROOT %y = f32[64] all-reduce(%x)
}"""


def test_program_is_read_from_its_text():
  compiled = compiler.Compiled(PROGRAM, 1000, 2000, 1.0, 2.0)
  program = planning.read(compiled, TOPOLOGY)
  assert program.hbm_bytes == 0 and program.num_kernels == 0
  assert program.collectives['all-reduce'].elements == 64


def test_missing_compiler_leaves_the_formula(monkeypatch):
  def fail(name):
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, 'version', fail)
  plan = make(make_config(), is_compiled=True)
  assert plan.program is None and 'tpu-plan' in plan.obstacle
  assert plan.memory.total == plan.formula_bytes
  assert 'tpu-plan' in tables.judge(plan)


def test_compiled_memory_goes_before_the_formula(monkeypatch):
  compiled = compiler.Compiled(PROGRAM, 1000, 2000, 1.0, 2.0)
  monkeypatch.setattr(compiler, 'compile_step', lambda *_: compiled)
  plan = make(make_config(), is_compiled=True)
  assert plan.memory.total == 3000
  assert plan.memory.temporary == 2000
  assert isinstance(plan.memory, formula.Memory)
  table = tables.to_markdown(plan)
  assert '| all-reduce | 1 in the program, 1 executed' in table


LOOP = """%body (p: f32[64]) -> f32[64] {
  %p = f32[64] parameter(0)
  ROOT %k = f32[64] custom-call(%p), custom_call_target="tpu_custom_call"
}
ENTRY %main (x: f32[64]) -> f32[64] {
  %x = f32[64] parameter(0)
  ROOT %y = f32[64] while(%x), condition=%c, body=%body, KNOWN
}""".replace('KNOWN', 'backend_config={"known_trip_count":{"n":"3"}}')


@pytest.mark.parametrize('cycles', [1750, None])
def test_kernel_in_a_loop_counts_in_each_round(monkeypatch, cycles):
  monkeypatch.setattr(kernels, 'estimate', lambda *_: [cycles])
  compiled = compiler.Compiled(LOOP, 1000, 2000, 1.0, 2.0)
  program = planning.read(compiled, TOPOLOGY)
  chip, size = TOPOLOGY.chip, 2 * 64 * 4
  seconds = cycles / chip.clock if cycles else size / chip.bandwidth
  assert program.kernel_seconds == pytest.approx(3 * seconds)
  assert program.kernel_source == ('bundles' if cycles else 'bytes')
  assert (program.num_kernels, program.hbm_bytes) == (3, 3 * size)
  assert sum(x.seconds for x in program.parts) == pytest.approx(3 * seconds)


class Estimator:
  """An estimator with made-up memory for each number of microbatches."""

  num_params = 10

  def __init__(self, *_):
    pass

  def rank(self):
    return [search.Settings('full', 1, x) for x in (16, 8, 32, 4, 2)]

  def memory(self, settings):
    """Returns made-up memory, for 32 microbatches more than for 8."""
    total = {1: 55, 2: 20, 4: 30, 8: 50, 16: 60, 32: 51}
    return formula.Memory(1, 1, 1, total[settings.num_microbatches] - 3)

  def smallest(self):
    return self.rank()[-1], search.Estimate(20, 1.0)


def test_search_tries_three_settings_each_smaller_than_those_before(
    monkeypatch,
):
  tried = []
  monkeypatch.setattr(formula, 'Estimator', Estimator)
  plan = make(make_config(), with_memory(10))

  def refuse(config, *_, **__):
    tried.append(config.num_microbatches)
    return plan

  monkeypatch.setattr(planning, 'make', refuse)
  with pytest.raises(ValueError, match='after 3 compilations'):
    planning.find(make_config(), 'tiny', TOPOLOGY, is_compiled=True)
  assert tried == [16, 8, 4]


def test_advice_needs_less_memory_than_what_does_not_fit(monkeypatch):
  def refuse(*_):
    raise compiler.DoesNotFit('RESOURCE_EXHAUSTED', 70)

  monkeypatch.setattr(formula, 'Estimator', Estimator)
  monkeypatch.setattr(compiler, 'compile_step', refuse)
  plan = make(make_config(), with_memory(65), is_compiled=True)
  assert plan.memory.total == 70
  # By the formula the config needs 55 bytes, and the fastest settings need 60.
  assert plan.advice.num_microbatches == 8
