"""Google's Cluster Toolkit: `gcluster job submit`, a JobSet with Kueue.

In a run of several processes without TPUs, JAX asks Kubernetes for its
coordinator. The image then needs the package `kubernetes`, and the service
account needs the right to read pods and jobs.
"""

import shlex

from experiments.launchers import job as job_lib


def plan(job: job_lib.Job) -> job_lib.Plan:
  """Returns the command that submits the job.

  Raises:
    ValueError: a flag that this back end needs is missing.
  """
  job_lib.require(job, 'gcluster', 'image', 'cluster')
  if job.topology is None:
    job_lib.require(job, 'gcluster', 'accelerator')
  arguments = {
      'name': job.label,
      'cluster': job.cluster,
      'project': job.project,
      'location': job.zone,
      'compute-type': job.topology.size if job.topology else job.accelerator,
      # A TPU type implies the number of hosts of its slice.
      'num-nodes': None if job.topology else job.processes,
      'image': job.image,
      'queue': job.queue,
      'mount': job.mount,
      'restarts': job.max_restarts,
      'restart-on-exit-codes': job_lib.RESTART_TEXT,
      'grace-period': job.grace_seconds,
      'command': shlex.join(
          job_lib.train_command(
              job, coordinator='auto' if job.processes > 1 else None
          )
      ),
  }
  command = job_lib.submit_command(
      ['gcluster', 'job', 'submit'], arguments, job
  )
  return job_lib.Plan({}, [command])
