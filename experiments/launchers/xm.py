"""XManager: hands the job to `experiments/xm_launch.py`.

That script runs a job with XManager's local executor, by means of the back end
`local`, which starts and restarts the processes of the job.
"""

from experiments.launchers import job as job_lib


def plan(job: job_lib.Job) -> job_lib.Plan:
  """Returns the `xmanager launch` command for the job."""
  passed = {
      'processes': job.processes,
      'devices': job.devices,
      'platform': job.platform,
      'max_restarts': job.max_restarts,
      'grace_seconds': job.grace_seconds,
      'backoff_seconds': job.backoff_seconds,
      'profile_steps': job.profile_steps,
  }
  command = ['xmanager', 'launch', 'experiments/xm_launch.py', '--']
  command += [f'--config={job.config}', f'--workdir={job.workdir}']
  command += [f'--name={job.name}']
  command += [f'--override={key}={value}' for key, value in job.overrides]
  passed = [f'--{k}={v}' for k, v in passed.items() if v is not None]
  passed += [f'--env={name}={value}' for name, value in job.environment]
  command += [f'--launch={argument}' for argument in passed]
  return job_lib.Plan({}, [[*command, *job.extra]])
