"""Plans a run: compiles its step, or estimates what it needs."""

import math

import ml_collections

from rvm_jax.training import boxes
from rvm_jax.training import objectives
from rvm_jax.training import protocols
from rvm_jax.training.plan import collectives
from rvm_jax.training.plan import compiler
from rvm_jax.training.plan import costs
from rvm_jax.training.plan import formula
from rvm_jax.training.plan import hlo
from rvm_jax.training.plan import kernels
from rvm_jax.training.plan import parts
from rvm_jax.training.plan import plans
from rvm_jax.training.plan import search
from rvm_jax.training.plan import topologies

# Settings that are possible with every batch size that is a multiple of the
# number of devices.
_PLAIN = search.Settings('full', 1, 1)
# Largest number of settings that a search compiles.
_MAX_TRIALS = 3


def make(
    config: ml_collections.ConfigDict,
    name: str,
    topology: topologies.Topology,
    *,
    is_compiled: bool,
) -> plans.Plan:
  """Returns what a run needs.

  Args:
    config: the run's config, as in configs/rvm_base.py. Its batch size must be
      a multiple of the number of devices.
    name: path of the config.
    topology: the devices.
    is_compiled: whether to compile the step. With False, or if the compiler is
      not installed, the formula estimates the memory.

  Raises:
    ValueError: settings are wrong, or do not fit the devices.
  """
  check_devices(config, topology)
  objective = objectives.from_config(config)
  estimator = formula.Estimator(config, topology)
  memory = estimator.memory(search.of_config(config))
  formula_bytes = memory.total
  program, obstacle, is_refused = None, 'not asked for', False
  if is_compiled:
    try:
      compiled = compiler.compile_step(config, topology)
    except topologies.CompilerMissing as error:
      obstacle = str(error)
    except compiler.DoesNotFit as error:
      obstacle, is_refused = str(error).split('\n')[0], True
      if error.needed:
        memory = memory.with_total(error.needed)
    else:
      obstacle = ''
      memory = memory.with_compiled(compiled.arguments, compiled.temporary)
      program = read(compiled, topology)
  batch = boxes.shapes_sent(objective.batch, config.data).values()
  plan = plans.Plan(
      config=name,
      topology=topology,
      settings=search.of_config(config),
      batch_size=config.data.batch_size,
      num_steps=config.num_steps,
      num_params=estimator.num_params,
      memory=memory,
      formula_bytes=formula_bytes,
      flops_per_clip=_flops_per_clip(objective),
      clip_bytes=sum(math.prod(x.shape[1:]) * x.dtype.itemsize for x in batch),
      program=program,
      obstacle=obstacle,
      is_refused=is_refused,
      advice=None,
  )
  if plan.is_fitting:
    return plan
  # The compiler may need more memory than the formula says, and then does so
  # for other settings too. So those are advised that need less by the formula
  # than the settings of the config.
  better = [
      settings
      for settings in estimator.rank()
      if estimator.memory(settings).total < formula_bytes
  ]
  return plan._replace(advice=better[0] if better else None)


def find(
    config: ml_collections.ConfigDict,
    name: str,
    topology: topologies.Topology,
    *,
    is_compiled: bool,
) -> plans.Plan:
  """Returns the plan with the fastest settings that fit into memory.

  The formula ranks the settings. If the compiler finds that the first ones do
  not fit, the next ones are tried that need less memory, three in all.

  Args:
    config: the run's config. Its remat, fsdp and num_microbatches are replaced
      by those that the search finds.
    name: path of the config.
    topology: the devices.
    is_compiled: whether to compile the steps. With False, or if the compiler is
      not installed, the formula estimates the memory.

  Raises:
    ValueError: the devices do not divide the batch, other settings are wrong,
      or none of the settings that were tried fit.
  """
  check_devices(search.apply(_PLAIN, config), topology)
  estimator = formula.Estimator(config, topology)
  refused_bytes, num_trials = math.inf, 0
  for settings in estimator.rank():
    if num_trials == _MAX_TRIALS:
      break
    formula_bytes = estimator.memory(settings).total
    # Settings that need as much memory by the formula as others that did not
    # fit, or more, are not tried.
    if formula_bytes >= refused_bytes:
      continue
    chosen = search.apply(settings, config)
    plan = make(chosen, name, topology, is_compiled=is_compiled)
    if plan.is_fitting:
      return plan
    refused_bytes, num_trials = formula_bytes, num_trials + 1
  settings, least = estimator.smallest()
  raise ValueError(
      f'no settings were found with which {name} fits into the memory of'
      f' {topology.name} with a batch of {config.data.batch_size} clips, after'
      f' {num_trials} compilations: by the formula, {settings} needs the least,'
      f' {least.num_bytes / 1e9:.2f} of {topology.chip.memory / 1e9:.2f} GB a'
      ' device; take more chips or chips with more memory, or lower'
      ' config.data.batch_size'
  )


def _flops_per_clip(objective: protocols.Objective) -> float:
  """Returns the FLOPs of a step for one clip.

  Raises:
    ValueError: the objective lacks this attribute, which is optional.
  """
  found = getattr(objective, 'flops_per_clip', None)
  if found is None:
    raise ValueError(
        f'{type(objective).__name__} has no attribute flops_per_clip, which a'
        ' plan needs: see rvm_jax.training.protocols.Objective'
    )
  return found


def check_devices(
    config: ml_collections.ConfigDict, topology: topologies.Topology
):
  """Checks that a config's batch and state can be split over the devices.

  Raises:
    ValueError: they cannot. The message names the key, its value and a value to
      use.
  """
  in_slice = topology.num_devices // topology.num_slices
  if config.fsdp < 1 or in_slice % config.fsdp:
    near = [x for x in range(1, in_slice + 1) if in_slice % x == 0]
    near.sort(key=lambda x: abs(x - config.fsdp))
    raise ValueError(
        f'config.fsdp={config.fsdp} must divide the {in_slice} devices of a'
        f' slice of {topology.name}; use {near[0]}'
    )
  parts_count = topology.num_devices * config.num_microbatches
  if config.data.batch_size % parts_count:
    below = max(config.data.batch_size // parts_count, 1) * parts_count
    raise ValueError(
        f'config.data.batch_size={config.data.batch_size} must be a multiple of'
        f' {topology.num_devices} devices x {config.num_microbatches}'
        f' microbatches; use {below} or {below + parts_count}'
    )


def read(
    compiled: compiler.Compiled, topology: topologies.Topology
) -> plans.Program:
  """Returns what a compiled step costs.

  Args:
    compiled: the step.
    topology: the devices that it was compiled for.
  """
  chip = topology.chip
  module = hlo.parse(compiled.text)
  found = costs.count(module)
  computing = [x for x in found if not collectives.is_collective(x)]
  # The cycles of all runs of each kernel. Those of one run are estimated from
  # its bundles; where that failed, the memory traffic of all runs gives a lower
  # bound.
  kernel_costs = costs.find_kernels(found)
  cycles = kernels.estimate(kernel_costs, topology)
  source = 'bytes' if None in cycles else 'bundles'
  totals = [
      cost.num_bytes / chip.bandwidth * chip.clock
      if one is None
      else one * cost.runs
      for cost, one in zip(kernel_costs, cycles, strict=True)
  ]
  # The compiler's text has no cycles for kernels, so this sum leaves them out.
  outside = sum(x.cycles for x in computing) / chip.clock
  return plans.Program(
      hbm_bytes=sum(x.num_bytes for x in computing),
      outside_seconds=outside if chip.is_tpu else None,
      kernel_seconds=sum(totals) / chip.clock,
      kernel_source=source,
      num_kernels=sum(x.runs for x in kernel_costs),
      collectives=collectives.sum_kinds(module, found),
      parts=parts.sum_parts(found, totals, chip.clock),
      compile_seconds=compiled.seconds,
      compile_cpu_seconds=compiled.cpu_seconds,
  )
