"""Plans as tables in Markdown, and as JSON."""

from typing import Any

from rvm_jax.training.plan import plans

# Seconds of a day.
_DAY = 24 * 60 * 60
# Number of parts of the model whose costs are shown.
_NUM_PARTS = 5


def to_markdown(plan: plans.Plan) -> str:
  """Returns a plan as a table with two columns, followed by the verdict."""
  rows = [('', f'{plan.config} on {plan.topology.name}')]
  rows += _list_setup(plan) + _list_memory(plan) + _list_times(plan)
  if plan.program:
    rows += _list_program(plan)
  (_, title), *others = rows
  lines = [f'| {title} | |', '|---|---|']
  lines += [f'| {name} | {value} |' for name, value in others]
  return '\n'.join(lines + ['', judge(plan)])


def judge(plan: plans.Plan) -> str:
  """Returns the verdict: whether a step fits, and what to change if not."""
  memory, limit = plan.memory, plan.topology.chip.memory
  if plan.is_fitting:
    verdict = f'It fits: {_giga(memory.total)} of {_giga(limit)} GB a device.'
  elif plan.advice:
    verdict = (
        f'It does not fit: {_giga(memory.total)} of {_giga(limit)} GB a device.'
        f' Set {plan.advice}.'
    )
  else:
    verdict = (
        f'It does not fit: {_giga(memory.total)} of {_giga(limit)} GB a device,'
        ' and no remat, fsdp or num_microbatches makes it fit. Take more chips'
        ' or chips with more memory, or lower config.data.batch_size.'
    )
  if plan.program:
    return verdict
  if plan.is_refused:
    return f'{verdict} The compiler refused it: {plan.obstacle}.'
  return f'{verdict} Estimated by the formula; not compiled: {plan.obstacle}.'


def to_json(plan: plans.Plan) -> dict[str, Any]:
  """Returns a plan as a tree of dicts, lists, numbers and texts."""
  program = plan.program
  return {
      'config': plan.config,
      'topology': plan.topology.name,
      'num_devices': plan.topology.num_devices,
      'num_hosts': plan.topology.num_hosts,
      'settings': plan.settings._asdict(),
      'batch_size': plan.batch_size,
      'num_steps': plan.num_steps,
      'num_params': plan.num_params,
      'memory': plan.memory._asdict() | {'total': plan.memory.total},
      'formula_bytes': plan.formula_bytes,
      'memory_limit': plan.topology.chip.memory,
      'is_fitting': plan.is_fitting,
      'advice': plan.advice and plan.advice._asdict(),
      'flops_per_clip': plan.flops_per_clip,
      'clip_bytes': plan.clip_bytes,
      'model_seconds': plan.model_seconds,
      'least_seconds': plan.least_seconds,
      'estimated_seconds': plan.estimated_seconds,
      'core_rate': plan.core_rate,
      'cores_per_device': plan.cores_per_device,
      'reduced_share': plan.reduced_share,
      'program': program
      and program._asdict()
      | {
          'collectives': {
              kind: value._asdict()
              for kind, value in program.collectives.items()
          },
          'parts': [part._asdict() for part in program.parts],
      },
      'obstacle': plan.obstacle,
      'is_refused': plan.is_refused,
      'versions': plan.versions,
  }


def _list_setup(plan):
  """Returns the rows with devices, batch, settings and size of the model."""
  topology = plan.topology
  count, hosts = topology.num_devices, topology.num_hosts
  rows = plan.batch_size / count
  return [
      ('devices', f'{count} x {topology.chip.name}, {hosts} hosts'),
      ('batch', f'{plan.batch_size} clips, {rows:g} a device'),
      ('settings', f'`{plan.settings}`'),
      ('parameters', f'{plan.num_params / 1e6:.1f} M'),
  ]


def _list_memory(plan):
  """Returns the rows of the memory of a device."""
  memory = plan.memory
  how = 'compiler' if plan.program else 'formula'
  rows = [
      ('parameters, GB a device', _giga(memory.parameters)),
      ('optimizer, GB', _giga(memory.optimizer)),
      ('batch, GB', _giga(memory.batch)),
      ('activations and gradients, GB', _giga(memory.temporary)),
      (
          f'memory, GB ({how})',
          f'{_giga(memory.total)} of {_giga(plan.topology.chip.memory)}',
      ),
  ]
  if plan.program:
    rows.append(('memory by the formula, GB', _giga(plan.formula_bytes)))
  return rows


def _list_times(plan):
  """Returns the rows of times and of what hosts have to read."""
  # A lower bound of the time of a step and the compiler's estimate. There is no
  # estimate for GPUs, or if the step was not compiled. All that follows from
  # the time is then a bound, and else a range from one to the other.
  times = [x for x in (plan.least_seconds, plan.estimated_seconds) if x]
  # What a host reads in each step.
  host_clips = plan.batch_size / plan.topology.num_hosts
  host_bytes = host_clips * plan.clip_bytes
  most, least = ('', '') if len(times) > 1 else (', at most', ', at least')
  rows = [
      ('model FLOPs a clip', f'{plan.flops_per_clip / 1e12:.3f} T'),
      (
          'model FLOPs a step',
          f'{plan.flops_per_clip * plan.batch_size / 1e15:.2f} P',
      ),
      ('ms a step, at least', f'{plan.least_seconds * 1e3:.1f}'),
      ('MFU, at most', f'{plan.model_seconds / plan.least_seconds:.0%}'),
  ]
  if plan.estimated_seconds:
    rows += [
        (
            "ms a step, compiler's estimate without collectives",
            f'{plan.estimated_seconds * 1e3:.1f}',
        ),
        (
            "MFU, compiler's estimate",
            f'{plan.model_seconds / plan.estimated_seconds:.0%}',
        ),
    ]
  rows += [
      (f'steps a second{most}', _range([1 / x for x in times], '.2f')),
      (
          f'days for {plan.num_steps:,} steps{least}',
          _range([plan.num_steps * x / _DAY for x in times], '.1f'),
      ),
      (
          f'clips a second, each host{most}',
          _range([host_clips / x for x in times], '.0f'),
      ),
      (
          f'MB of frames a second, each host{most}',
          _range([host_bytes / x / 1e6 for x in times], '.0f'),
      ),
  ]
  if plan.core_rate is not None:
    clips = plan.batch_size / plan.topology.num_devices
    name = f'cores that read data for a chip, each {plan.core_rate:g} clips'
    needed = _range([clips / x / plan.core_rate for x in times], '.1f')
    rows.append((f'{name} a second{most}', needed))
  return rows


def _list_program(plan):
  """Returns the rows of what the compiled step does."""
  program = plan.program
  rows = [('HBM traffic, GB a step', _giga(program.hbm_bytes))]
  if program.num_kernels:
    source = {
        'bundles': 'by their instructions, without stalls',
        'bytes': 'by their memory traffic, a lower bound',
    }[program.kernel_source]
    rows.append(
        (
            f'Pallas kernels, ms ({source})',
            f'{program.kernel_seconds * 1e3:.1f} in {program.num_kernels} runs',
        )
    )
  for kind, value in sorted(program.collectives.items()):
    count = f'{value.static} in the program, {value.executed} executed'
    size = f'{value.elements / 1e6:.1f} M elements, {value.num_bytes / 1e6:.0f}'
    rows.append((kind, f'{count}, {size} MB'))
  rows.append(('elements reduced / parameters', f'{plan.reduced_share:.2f}'))
  for part in program.parts[:_NUM_PARTS]:
    time = f'{part.seconds * 1e3:.1f} ms, ' if part.seconds else ''
    rows.append((f'costs: {part.name}', f'{time}{_giga(part.hbm_bytes)} GB'))
  wall, cpu = program.compile_seconds, program.compile_cpu_seconds
  rows.append(('compile, s', f'{wall:.0f}, of all cores {cpu:.0f}'))
  versions = ', '.join(f'{k} {v}' for k, v in plan.versions.items())
  rows.append(('versions', versions))
  return rows


def _giga(num_bytes: float) -> str:
  """Returns a number of bytes in GB."""
  return f'{num_bytes / 1e9:.2f}'


def _range(values: list[float], form: str) -> str:
  """Returns the least and the greatest value, as one if they read the same."""
  low, high = format(min(values), form), format(max(values), form)
  return low if low == high else f'{low} to {high}'
