"""What follows from the numbers of a plan, and how a table shows it."""

import pytest

from rvm_jax.training.plan import collectives
from rvm_jax.training.plan import formula
from rvm_jax.training.plan import parts
from rvm_jax.training.plan import plans
from rvm_jax.training.plan import search
from rvm_jax.training.plan import tables
from rvm_jax.training.plan import topologies

GIGA = 10**9
# 8 chips on two hosts, with speeds that divide well.
TOPOLOGY = topologies.find('v6e:2x4')
TOPOLOGY = TOPOLOGY._replace(
    chip=TOPOLOGY.chip._replace(bandwidth=1e12, memory=20 * GIGA)
)
PEAK = TOPOLOGY.chip.peak


def make_plan(**changes):
  """Returns a plan of 64 clips, of which 8 take a chip 0.1 s at its peak."""
  plan = plans.Plan(
      config='mine.py',
      topology=TOPOLOGY,
      settings=search.Settings('dots', 1, 2),
      batch_size=64,
      num_steps=864_000,
      num_params=1000,
      memory=formula.Memory(4 * GIGA, 8 * GIGA, GIGA, 2 * GIGA),
      formula_bytes=14 * GIGA,
      flops_per_clip=0.1 * PEAK / 8,
      clip_bytes=1_000_000,
      program=None,
      obstacle='not asked for',
      is_refused=False,
      advice=None,
  )
  return plan._replace(**changes)


def make_program(**changes):
  """Returns a program that moves memory for 0.2 s, and computes for 0.4 s."""
  program = plans.Program(
      hbm_bytes=200 * GIGA,
      outside_seconds=0.3,
      kernel_seconds=0.1,
      kernel_source='bundles',
      num_kernels=7,
      collectives={
          'all-reduce': collectives.Collective(2, 3, 400, 1600),
          'reduce-scatter': collectives.Collective(1, 1, 620, 2480),
          'all-gather': collectives.Collective(1, 1, 5000, 20000),
      },
      parts=[parts.Part('encoder/mlp', 50 * GIGA, 0.02)] * 6,
      compile_seconds=60.0,
      compile_cpu_seconds=100.0,
  )
  return program._replace(**changes)


def read_rows(plan):
  """Returns the rows of a plan's table by name."""
  lines = tables.to_markdown(plan).split('\n\n')[0].splitlines()[2:]
  return dict(line.strip('| ').split(' | ', 1) for line in lines)


def test_times_are_those_of_one_device():
  plan = make_plan()
  assert plan.model_seconds == pytest.approx(0.1)
  assert plan.least_seconds == plan.model_seconds
  assert plan.estimated_seconds is None and plan.reduced_share is None
  plan = make_plan(program=make_program())
  assert plan.least_seconds == pytest.approx(0.2)
  assert plan.estimated_seconds == pytest.approx(0.4)
  # What is gathered is not reduced.
  assert plan.reduced_share == pytest.approx(1.02)
  plan = make_plan(program=make_program(hbm_bytes=1, outside_seconds=None))
  assert plan.least_seconds == plan.model_seconds
  assert plan.estimated_seconds is None


def test_plan_fits_up_to_the_last_byte_unless_the_compiler_refuses():
  memory = make_plan().memory
  assert make_plan(memory=memory.with_total(20 * GIGA)).is_fitting
  assert not make_plan(memory=memory.with_total(20 * GIGA + 1)).is_fitting
  assert not make_plan(is_refused=True).is_fitting


def test_verdict_says_what_the_compiler_said():
  plan = make_plan(is_refused=True, obstacle='Ran out of memory')
  verdict = tables.judge(plan)
  assert verdict.startswith('It does not fit')
  assert verdict.endswith('The compiler refused it: Ran out of memory.')
  assert 'Estimated by the formula' not in verdict


def test_table_without_a_compiler_has_one_bound():
  rows = read_rows(make_plan())
  assert rows['batch'] == '64 clips, 8 a device'
  assert rows['memory, GB (formula)'] == '15.00 of 20.00'
  assert rows['ms a step, at least'] == '100.0'
  assert rows['MFU, at most'] == '100%'
  assert rows['steps a second, at most'] == '10.00'
  assert rows['days for 864,000 steps, at least'] == '1.0'
  # Each of two hosts reads 32 of 64 clips, ten times a second.
  assert rows['clips a second, each host, at most'] == '320'
  assert rows['MB of frames a second, each host, at most'] == '320'


def test_table_of_a_compiled_plan_goes_from_bound_to_estimate():
  rows = read_rows(make_plan(program=make_program(), obstacle=''))
  assert rows['memory, GB (compiler)'] == '15.00 of 20.00'
  assert rows['memory by the formula, GB'] == '14.00'
  assert rows['ms a step, at least'] == '200.0'
  assert rows['MFU, at most'] == '50%'
  assert rows["MFU, compiler's estimate"] == '25%'
  assert rows['steps a second'] == '2.50 to 5.00'
  assert rows['days for 864,000 steps'] == '2.0 to 4.0'
  assert rows['clips a second, each host'] == '80 to 160'
  assert rows['HBM traffic, GB a step'] == '200.00'
  (kernels,) = (rows[key] for key in rows if key.startswith('Pallas kernels'))
  assert kernels == '100.0 in 7 runs'
  assert rows['all-reduce'].startswith('2 in the program, 3 executed')
  assert rows['elements reduced / parameters'] == '1.02'
  assert rows['costs: encoder/mlp'] == '20.0 ms, 50.00 GB'
  # Of six parts the five costliest are shown.
  table = tables.to_markdown(make_plan(program=make_program()))
  assert table.count('costs: encoder/mlp') == 5


def test_measured_rate_of_a_core_tells_how_many_cores_a_chip_needs():
  assert make_plan().cores_per_device is None
  # A chip takes 8 clips in 0.1 s at its peak, 0.4 s by the estimate.
  plan = make_plan(core_rate=16.0)
  assert plan.cores_per_device == pytest.approx(5)
  rows = read_rows(plan)
  name = 'cores that read data for a chip, each 16 clips a second'
  assert rows[f'{name}, at most'] == '5.0'
  plan = make_plan(core_rate=16.0, program=make_program(), obstacle='')
  assert plan.cores_per_device == pytest.approx(1.25)
  assert read_rows(plan)[name] == '1.2 to 2.5'
  found = tables.to_json(plan)
  assert found['core_rate'] == 16 and found['cores_per_device'] == 1.25


def test_json_has_what_the_table_shows():
  plan = make_plan(program=make_program(), obstacle='')
  found = tables.to_json(plan)
  assert found['memory']['total'] == plan.memory.total
  assert found['reduced_share'] == plan.reduced_share
  assert found['program']['collectives']['all-reduce']['elements'] == 400
  assert found['program']['parts'][0]['name'] == 'encoder/mlp'
  assert found['settings'] == {
      'remat': 'dots',
      'fsdp': 1,
      'num_microbatches': 2,
  }
