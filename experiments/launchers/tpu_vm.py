"""Cloud TPU API: creates a queued resource, and runs a script on its hosts.

Google no longer develops this API, and it does not serve TPU7x. Use GKE unless
you work with this API already. Nothing restarts a run: if a spot slice is taken
away, create it again and launch the same job once more.
"""

import shlex

from experiments.launchers import job as job_lib

# Folder on each host in which the repository is expected.
_FOLDER = 'rvm_jax'

_SCRIPT = """\
#!/bin/bash
# Run this once the slice is ACTIVE, which
# `gcloud compute tpus queued-resources describe {name}` says, and rvm_jax is
# installed on each of its hosts.
{run}
"""


def plan(job: job_lib.Job) -> job_lib.Plan:
  """Returns the command that creates the slice, and a script for its hosts.

  Raises:
    ValueError: a flag that this back end needs is missing, or the API does not
      serve the TPU version.
  """
  job_lib.require(job, 'tpu_vm', 'topology', 'zone')
  runtime = job.topology.generation.runtime
  if runtime is None:
    raise ValueError(
        f'--backend=tpu_vm cannot have {job.topology.version}, which the Cloud'
        ' TPU API does not serve: use --backend=gke'
    )
  place = [f'--zone={job.zone}']
  if job.project:
    place.append(f'--project={job.project}')
  create = [
      'gcloud',
      'compute',
      'tpus',
      'queued-resources',
      'create',
      job.label,
      f'--node-id={job.label}',
      f'--accelerator-type={job.topology.size}',
      f'--runtime-version={runtime}',
      *place,
      *(['--spot'] if job.spot else []),
      *job.extra,
  ]
  parts = {'coordinator': 'auto'} if job.processes > 1 else {}
  exports = [
      f'export {name}={shlex.quote(value)}'
      for name, value in job_lib.environment(job).items()
  ]
  train = shlex.join(job_lib.train_command(job, **parts))
  run = [
      'gcloud',
      'compute',
      'tpus',
      'tpu-vm',
      'ssh',
      job.label,
      *place,
      '--worker=all',
      '--command=' + ' && '.join([f'cd {_FOLDER}', *exports, train]),
  ]
  path = job.path('.tpu_vm.sh')
  script = _SCRIPT.format(name=job.label, run=shlex.join(run))
  return job_lib.Plan({path: script}, [create])
