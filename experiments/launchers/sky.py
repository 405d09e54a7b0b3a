"""SkyPilot: a managed job on whatever cloud has the machines.

SkyPilot restarts a job without limit after the exit codes in
`recover_on_exit_codes`, and `max_restarts_on_errors` times after all others.
The others mean mistakes of the user, so that this number is 0. The job's own
`max_restarts` has no effect. If a spot machine is taken away, SkyPilot starts
the job anew on another one.
"""

import shlex

import yaml

from experiments.launchers import job as job_lib

_PORT = 8476


def plan(job: job_lib.Job) -> job_lib.Plan:
  """Returns the task file and the command that launches it.

  Raises:
    ValueError: a flag that this back end needs is missing, or SkyPilot does not
      have the TPU version.
  """
  is_tpu = job.topology is not None
  if not is_tpu and job.platform == 'gpu':
    job_lib.require(job, 'sky', 'accelerator')
  resources = {
      'use_spot': job.spot,
      'job_recovery': {
          'strategy': 'FAILOVER',
          'max_restarts_on_errors': 0,
          'recover_on_exit_codes': list(job_lib.RESTART_CODES),
      },
  }
  if is_tpu:
    if job.topology.generation.runtime is None:
      raise ValueError(
          f'--backend=sky cannot have {job.topology.version}: use --backend=gke'
      )
    size = job.topology.size.replace('v5litepod', 'v5e')
    resources['accelerators'] = f'tpu-{size}'
    version = job.topology.generation.runtime
    resources['accelerator_args'] = {'runtime_version': version}
  elif job.accelerator:
    resources['accelerators'] = f'{job.accelerator}:{job.devices}'
  if job.image:
    resources['image_id'] = f'docker:{job.image}'
  task = {
      'name': job.label,
      'resources': resources,
      # SkyPilot treats a TPU slice as one node, and starts the command on each
      # host of the slice.
      'num_nodes': 1 if is_tpu else job.processes,
      'workdir': '.',
      'envs': job_lib.environment(job),
      'setup': f"pip install -e . 'jax[{_jax_extra(job)}]<0.12'",
      'run': _run(job),
  }
  path = job.path('.sky.yaml')
  text = yaml.safe_dump(task, sort_keys=False, width=1000)
  command = ['sky', 'jobs', 'launch', f'--name={job.label}', '--yes']
  command += ['--detach-run', *job.extra, path]
  return job_lib.Plan({path: text}, [command])


def _jax_extra(job):
  if job.topology:
    return 'tpu'
  return 'cuda12' if job.platform == 'gpu' else 'cpu'


def _run(job):
  """Returns the shell command for each node, with SkyPilot's variables."""
  if job.topology:
    parts = {'coordinator': 'auto'} if job.processes > 1 else {}
    return shlex.join(job_lib.train_command(job, **parts))
  if job.processes == 1:
    return shlex.join(job_lib.train_command(job))
  return (
      shlex.join(job_lib.train_command(job))
      + f' --coordinator="$(echo "$SKYPILOT_NODE_IPS" | head -n1):{_PORT}"'
      + ' --num_processes="$SKYPILOT_NUM_NODES"'
      + ' --process_id="$SKYPILOT_NODE_RANK"'
  )
