"""The JobSet: what Kubernetes and GKE require of it."""

import pytest
import yaml

from experiments.launchers import gke
from experiments.launchers import job as job_lib
from experiments.launchers import tpu


def parse(job):
  """The manifest as kubectl would read it, its Job and its pod."""
  (text,) = gke.plan(job).files.values()
  jobset = yaml.safe_load(text)
  (replicated,) = jobset['spec']['replicatedJobs']
  spec = replicated['template']['spec']
  return jobset, spec, spec['template']['spec']


def make(**changes):
  topology = tpu.parse('v5e:4x4')
  values = dict(
      image='i',
      processes=topology.hosts,
      devices=topology.devices_per_host,
      platform='tpu',
      topology=topology,
  )
  return job_lib.Job('rvm_large', 'c', '/w', **values | changes)


def test_manifest_has_a_pod_for_each_host_of_the_slice():
  _, spec, pod = parse(make())
  assert spec['parallelism'] == spec['completions'] == 4
  assert spec['completionMode'] == 'Indexed'
  (container,) = pod['containers']
  assert container['resources'] == {'limits': {'google.com/tpu': 4}}
  assert pod['nodeSelector'] == {
      'cloud.google.com/gke-tpu-accelerator': 'tpu-v5-lite-podslice',
      'cloud.google.com/gke-tpu-topology': '4x4',
  }
  assert '--coordinator=auto' in container['command']


def test_manifest_counts_chips_and_not_devices():
  topology = tpu.parse('tpu7x:2x2x2')
  job = make(topology=topology, processes=2, devices=topology.devices_per_host)
  (container,) = parse(job)[2]['containers']
  assert container['resources']['limits'] == {'google.com/tpu': 4}


def test_manifest_restarts_all_pods_on_the_restartable_codes_alone():
  jobset, spec, pod = parse(make(max_restarts=7))
  assert jobset['spec']['failurePolicy']['maxRestarts'] == 7
  (rule,) = jobset['spec']['failurePolicy']['rules']
  assert rule['action'] == 'FailJobSet'
  assert rule['onJobFailureReasons'] == ['PodFailurePolicy']
  # A failed pod must not be replaced by itself. A pod failure policy needs
  # `restartPolicy: Never`.
  assert spec['backoffLimit'] == 0 and pod['restartPolicy'] == 'Never'
  (rule,) = spec['podFailurePolicy']['rules']
  assert rule['action'] == 'FailJob'
  assert rule['onExitCodes'] == {
      'containerName': pod['containers'][0]['name'],
      'operator': 'NotIn',
      'values': list(job_lib.RESTART_CODES),
  }


def test_manifest_gives_a_pod_the_time_to_save():
  pod = parse(make(grace_seconds=123))[2]
  assert pod['terminationGracePeriodSeconds'] == 123


def test_manifest_names_the_first_pod_where_jax_cannot_find_it():
  job = make(topology=None, platform='gpu', devices=8, processes=2)
  jobset, _, pod = parse(job)
  (container,) = pod['containers']
  name = jobset['metadata']['name']
  assert jobset['spec']['network']['subdomain'] == name
  first = f'--coordinator={name}-workers-0-0.{name}:8476'
  assert first in container['command']
  assert '--process_id=$(PROCESS_ID)' in container['command']
  assert 'PROCESS_ID' in [variable['name'] for variable in container['env']]


def test_manifest_leaves_room_for_the_names_of_pods():
  job = job_lib.Job('x' * 300, 'c', '/w', image='i', processes=9999)
  name = parse(job)[0]['metadata']['name']
  # JobSet names pods LABEL-workers-0-INDEX-, followed by five characters.
  assert len(f'{name}-workers-0-9999-abcde') <= 63


def test_plan_needs_a_topology_for_tpus():
  with pytest.raises(ValueError, match='needs --topology'):
    gke.plan(make(topology=None))
