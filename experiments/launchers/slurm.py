"""Slurm: a batch script that puts itself back into the queue.

One task runs on each node and takes all of its GPUs. `grace_seconds` before the
time limit Slurm sends SIGTERM to the tasks; the run saves and exits with 75,
and the script requeues the job. A job that Slurm itself preempts is requeued by
Slurm. A cancelled job is no longer in state RUNNING and is left alone.
"""

import shlex

from experiments.launchers import job as job_lib

# How long the other tasks may go on after the first one has ended.
_WAIT_SECONDS = 60

_SCRIPT = """\
#!/bin/bash
{header}
{environment}
# Without a trap bash would end at the signal that tells the run to save.
trap : TERM
srun --label --wait={wait} {command}
code=$?

case $code in
  {codes})
    state=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)
    if [ "$state" = RUNNING ] &&
      [ "${{SLURM_RESTART_COUNT:-0}}" -lt {max_restarts} ]; then
      scontrol requeue "$SLURM_JOB_ID"
    fi
    ;;
esac
exit $code
"""


def plan(job: job_lib.Job) -> job_lib.Plan:
  """Returns the batch script and the command that submits it."""
  options = {
      'job-name': job.label,
      'nodes': job.processes,
      'ntasks-per-node': 1,
      'gpus-per-node': job.devices if job.platform == 'gpu' else None,
      'partition': job.queue,
      'time': job.time_limit,
      'requeue': '',
      'open-mode': 'append',
      'signal': f'TERM@{job.grace_seconds}',
      'output': job.path('-%j.log'),
  }
  header = [
      f'#SBATCH --{key}' + (f'={value}' if value != '' else '')
      for key, value in options.items()
      if value is not None
  ]
  header += [f'#SBATCH {argument}' for argument in job.extra]
  environment = job_lib.environment(job)
  if job.platform == 'gpu' and job.devices:
    # Under Slurm, JAX takes one GPU for each task unless this variable is set.
    environment['JAX_LOCAL_DEVICE_IDS'] = ','.join(
        str(i) for i in range(job.devices)
    )
  script = _SCRIPT.format(
      header='\n'.join(header),
      environment=''.join(
          f'export {name}={shlex.quote(value)}\n'
          for name, value in environment.items()
      ),
      wait=_WAIT_SECONDS,
      command=shlex.join(job_lib.train_command(job, coordinator='auto')),
      codes='|'.join(str(code) for code in job_lib.RESTART_CODES),
      max_restarts=job.max_restarts,
  )
  path = job.path('.sbatch')
  return job_lib.Plan({path: script}, [['sbatch', path]])
