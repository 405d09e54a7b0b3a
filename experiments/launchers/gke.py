"""Google Kubernetes Engine: a JobSet of an indexed Job, with a pod a host.

For TPUs this is the recommended back end. In pods of a headless service, which
a JobSet has, GKE sets TPU_WORKER_ID and TPU_WORKER_HOSTNAMES, by which JAX
finds its coordinator. Without TPUs the coordinator is the first pod, whose name
the JobSet determines.

Restarts: a pod that fails ends its Job at once (`backoffLimit: 0`), and the
JobSet creates all pods anew, at most `max_restarts` times. If the exit code
says that a restart would not help, the Job fails by its pod failure policy, and
a rule of the JobSet then ends the whole JobSet. A pod whose node is lost has no
exit code, so that it is restarted.
"""

import json

import yaml

from experiments.launchers import job as job_lib

_CONTAINER = 'main'
_REPLICATED_JOB = 'workers'
_PORT = 8476


def plan(job: job_lib.Job) -> job_lib.Plan:
  """Returns the manifest and the command that applies it.

  Raises:
    ValueError: a flag that this back end needs is missing.
  """
  job_lib.require(job, 'gke', 'image')
  if job.topology is None and job.platform == 'tpu':
    raise ValueError('--backend=gke with TPUs needs --topology')
  path = job.path('.yaml')
  command = ['kubectl', 'apply', f'--filename={path}', *job.extra]
  return job_lib.Plan({path: _to_yaml(manifest(job))}, [command])


def manifest(job: job_lib.Job) -> dict:
  """Returns the JobSet in the form of the API jobset.x-k8s.io/v1alpha2."""
  metadata = {'name': job.label}
  if job.queue:
    metadata['labels'] = {'kueue.x-k8s.io/queue-name': job.queue}
  if job.topology:
    # All pods go to one node pool, which is one slice.
    metadata['annotations'] = {
        'alpha.jobset.sigs.k8s.io/exclusive-topology': (
            'cloud.google.com/gke-nodepool'
        )
    }
  return {
      'apiVersion': 'jobset.x-k8s.io/v1alpha2',
      'kind': 'JobSet',
      'metadata': metadata,
      'spec': {
          'network': {'enableDNSHostnames': True, 'subdomain': job.label},
          'failurePolicy': {
              'maxRestarts': job.max_restarts,
              'rules': [
                  {
                      'name': 'failOnMistakes',
                      'action': 'FailJobSet',
                      'onJobFailureReasons': ['PodFailurePolicy'],
                  }
              ],
          },
          'replicatedJobs': [
              {
                  'name': _REPLICATED_JOB,
                  'replicas': 1,
                  'template': {'spec': _job_spec(job)},
              }
          ],
      },
  }


def _job_spec(job):
  return {
      'parallelism': job.processes,
      'completions': job.processes,
      'completionMode': 'Indexed',
      'backoffLimit': 0,
      'podFailurePolicy': {
          'rules': [
              {
                  'action': 'FailJob',
                  'onExitCodes': {
                      'containerName': _CONTAINER,
                      'operator': 'NotIn',
                      'values': list(job_lib.RESTART_CODES),
                  },
              }
          ]
      },
      'template': {'spec': _pod_spec(job)},
  }


def _pod_spec(job):
  selector = {}
  if job.topology:
    selector = {
        'cloud.google.com/gke-tpu-accelerator': job.topology.generation.gke,
        'cloud.google.com/gke-tpu-topology': job.topology.topology,
    }
  elif job.accelerator:
    selector = {'cloud.google.com/gke-accelerator': job.accelerator}
  if job.spot:
    selector['cloud.google.com/gke-spot'] = 'true'

  # A volume in memory serves as shared memory, in which data workers pass
  # batches. The 64 MB that a container has by default are too few.
  volumes = [{'name': 'shm', 'emptyDir': {'medium': 'Memory'}}]
  mounts = [{'name': 'shm', 'mountPath': '/dev/shm'}]
  if job.mount:
    claim, _, path = job.mount.partition(':')
    claim = {'claimName': claim}
    volumes.append({'name': 'data', 'persistentVolumeClaim': claim})
    mounts.append({'name': 'data', 'mountPath': path})
  container = {
      'name': _CONTAINER,
      'image': job.image,
      'command': _command(job),
      'env': _environment(job),
      'volumeMounts': mounts,
  }
  if job.topology:
    # Kubernetes counts the chips of a host, and not its JAX devices.
    limits = {'google.com/tpu': job.topology.chips_per_host}
    container['resources'] = {'limits': limits}
  elif job.platform == 'gpu':
    container['resources'] = {'limits': {'nvidia.com/gpu': job.devices}}
  spec = {
      'restartPolicy': 'Never',
      'terminationGracePeriodSeconds': job.grace_seconds,
      'containers': [container],
      'volumes': volumes,
  }
  return {'nodeSelector': selector} | spec if selector else spec


def _command(job):
  if job.topology:
    coordinator = None if job.processes == 1 else 'auto'
    return job_lib.train_command(job, coordinator=coordinator)
  if job.processes == 1:
    return job_lib.train_command(job)
  first = f'{job.label}-{_REPLICATED_JOB}-0-0.{job.label}'
  return job_lib.train_command(
      job,
      coordinator=f'{first}:{_PORT}',
      num_processes=job.processes,
      # Kubernetes replaces it by the value of the variable.
      process_id='$(PROCESS_ID)',
  )


def _environment(job):
  env = [
      {'name': name, 'value': value}
      for name, value in job_lib.environment(job).items()
  ]
  index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
  field = {'fieldRef': {'fieldPath': index}}
  return [*env, {'name': 'PROCESS_ID', 'valueFrom': field}]


def _to_yaml(document):
  # The way through JSON copies objects that occur in several places. YAML would
  # write those as references.
  plain = json.loads(json.dumps(document))
  return yaml.safe_dump(plain, sort_keys=False, width=1000)
