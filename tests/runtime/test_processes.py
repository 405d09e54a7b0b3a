"""Starting JAX in several processes."""

import os
import socket
import subprocess
import sys

import jax
import pytest

from rvm_jax.runtime import links
from rvm_jax.runtime import meeting
from rvm_jax.runtime import peers as peers_lib
from rvm_jax.runtime import processes
from rvm_jax.training import mesh as mesh_lib

# Code of a process of a run. It says who it is, sums over all devices, and then
# ends in order, kills itself, or waits for the process that kills itself.
CODE = """
import os, signal, sys
import jax, jax.numpy as jnp
from jax.experimental import multihost_utils
from rvm_jax.runtime import processes
from rvm_jax.training import mesh as mesh_lib

coordinator, count, number, what = sys.argv[1:]
with processes.connect(coordinator, int(count), int(number), 60.0) as peers:
  print(processes.describe(peers, mesh_lib.make_mesh(2)), flush=True)
  total = multihost_utils.process_allgather(jnp.arange(2)).sum()
  # One call of write keeps the line in one piece: Gloo writes to this pipe too.
  os.write(1, b'total %d\\n' % total)
  if what == number:
    os.kill(os.getpid(), signal.SIGKILL)
  if what != 'nobody':
    multihost_utils.process_allgather(jnp.arange(2))
"""


@pytest.fixture
def coordinator():
  with socket.socket() as s:
    s.bind(('localhost', 0))
    return f'localhost:{s.getsockname()[1]}'


def run_two(coordinator, what):
  """Runs two processes; returns their exit codes and output."""
  environment = os.environ | {
      'JAX_CPU_COLLECTIVES_IMPLEMENTATION': 'gloo',
      'XLA_FLAGS': '--xla_force_host_platform_device_count=2',
  }
  started = [
      subprocess.Popen(
          [sys.executable, '-c', CODE, coordinator, '2', str(i), what],
          env=environment,
          text=True,
          stdout=subprocess.PIPE,
          stderr=subprocess.STDOUT,
      )
      for i in range(2)
  ]
  try:
    outputs = [process.communicate(timeout=120)[0] for process in started]
  finally:
    for process in started:
      process.kill()
  return [process.returncode for process in started], outputs


def test_two_processes_compute_together_and_end_in_order(coordinator):
  codes, outputs = run_two(coordinator, 'nobody')
  assert codes == [0, 0], outputs
  for number, output in enumerate(outputs):
    assert 'total 2\n' in output
    assert f'This is process {number} (host {socket.gethostname()}' in output
  assert 'numbers 0 to 1 of 4; in the mesh data 0, fsdp 0 to 1\n' in outputs[0]
  assert 'numbers 2 to 3 of 4; in the mesh data 1, fsdp 0 to 1\n' in outputs[1]


@pytest.mark.parametrize('killed', [0, 1])
def test_killed_process_ends_the_other_in_one_line(coordinator, killed):
  codes, outputs = run_two(coordinator, str(killed))
  assert codes[killed] == -9
  assert codes[1 - killed] == 76
  # The line stands alone, without messages of C++ and without a traceback.
  last = [
      line
      for line in outputs[1 - killed].partition('total 2\n')[2].splitlines()
      if not line.startswith('[Gloo]')
  ]
  assert len(last) == 1, last
  assert last[0].startswith(f'process {killed} (host ')
  assert last[0].endswith('is lost: its connection was closed')


def test_missing_process_0_ends_the_other_with_a_line(coordinator):
  code = (
      'from rvm_jax.runtime import processes\n'
      f'processes.connect({coordinator!r}, 2, 1, 0.5)'
  )
  done = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, timeout=100
  )
  assert done.returncode == 76
  assert done.stderr.startswith(
      f'process 0 did not answer at {coordinator} within 0.5 s'
  )
  assert done.stderr.count('\n') == 1


def test_one_process_needs_no_connection():
  with processes.connect(None, 1, 0, 1.0) as peers:
    peers.agree({'a': '1'})
  assert not jax.distributed.is_initialized()


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('h:1', 2, 2, 1.0), '--process_id=2 must be from 0 to below'),
        (('h:1', 2, -1, 1.0), '--process_id=-1 must be'),
        (('h:1', 0, 0, 1.0), '--num_processes=0'),
        (('host', 2, 1, 1.0), '--coordinator=host must be HOST:PORT'),
        (('host:x', 2, 1, 1.0), '--coordinator=host:x must be HOST:PORT'),
        (('host:70000', 2, 1, 1.0), 'must be HOST:PORT'),
        ((None, 2, 1, 1.0), '--coordinator is needed for 2 processes'),
        (('auto', 1, 0, 1.0), '--coordinator=auto found no cluster'),
        (('h:1', 2, 1, 0.0), '--join_timeout=0.0 must be positive'),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    processes.connect(*arguments)


def test_auto_takes_addresses_from_slurm(monkeypatch):
  for key, value in {
      'SLURM_JOB_ID': '4097',
      'SLURM_STEP_NODELIST': 'node[3-4]',
      'SLURM_NTASKS': '2',
      'SLURM_PROCID': '1',
      'SLURM_LOCALID': '0',
      'SLURM_STEP_NUM_NODES': '2',
  }.items():
    monkeypatch.setenv(key, value)
  asked = {}

  def join(host, port, me, count, timeout):
    asked.update(host=host, port=port, process=me.process, count=count)
    raise ValueError('enough')

  monkeypatch.setattr(meeting, 'join', join)
  with pytest.raises(ValueError, match='enough'):
    processes.connect('auto', 1, 0, 1.0)
  assert asked == {'host': 'node3', 'port': 61441, 'process': 1, 'count': 2}


def test_describe_names_devices_and_place_in_the_mesh():
  peers = peers_lib.Peers(links.Member(0, 'a', 7), {}, 1)
  assert processes.describe(peers, mesh_lib.make_mesh(2)) == (
      'This is process 0 (host a, pid 7) of 1: 2 local devices (cpu), numbers 0'
      ' to 1 of 2; in the mesh data 0, fsdp 0 to 1'
  )
