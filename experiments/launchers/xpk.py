"""xpk: Google's command line for training jobs on GKE.

By its own description xpk is "for proofs of concepts and testing". It always
restarts after the exit codes 42 and 127 to 255. The codes of this project are
added to them and cannot replace them.
"""

import shlex

from experiments.launchers import job as job_lib


def plan(job: job_lib.Job) -> job_lib.Plan:
  """Returns the command that creates the workload.

  Raises:
    ValueError: a flag that this back end needs is missing.
  """
  job_lib.require(job, 'xpk', 'topology', 'image', 'cluster')
  arguments = {
      'workload': job.label,
      'cluster': job.cluster,
      'project': job.project,
      'zone': job.zone,
      'tpu-type': f'{job.topology.generation.prefix}-{job.topology.topology}',
      'num-slices': 1,
      'docker-image': job.image,
      'max-restarts': job.max_restarts,
      'restart-on-exit-codes': job_lib.RESTART_TEXT,
      'termination-grace-period-seconds': job.grace_seconds,
      'command': shlex.join(
          job_lib.train_command(
              job, coordinator='auto' if job.processes > 1 else None
          )
      ),
  }
  command = job_lib.submit_command(
      ['xpk', 'workload', 'create'], arguments, job
  )
  return job_lib.Plan({}, [command])
