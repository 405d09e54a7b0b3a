"""Starts JAX in all processes of a run, and logs the devices of each."""

from collections.abc import Sequence

from absl import logging
import jax

# JAX offers no public way to ask a cluster for addresses without connecting.
from jax._src import clusters
from jax.sharding import Mesh
import numpy as np

from rvm_jax.runtime import ending
from rvm_jax.runtime import exit_codes
from rvm_jax.runtime import meeting
from rvm_jax.runtime import peers as peers_lib
from rvm_jax.runtime import relay

# Value of --coordinator that leaves the addresses to the cluster.
AUTO = 'auto'


def connect(
    coordinator: str | None,
    num_processes: int,
    process_id: int,
    join_timeout: float,
) -> peers_lib.Peers:
  """Connects the processes of a run.

  It must be called before any use of devices. If some processes do not come in
  time, this process ends at once with the exit code `RESTART` and a line that
  names them.

  Args:
    coordinator: 'HOST:PORT' of process 0; 'auto' to take this address and the
      two numbers below from the cluster; None for a run of one process.
    num_processes: number of processes of the run.
    process_id: number of this process, counted from 0.
    join_timeout: longest wait for the others, in seconds.

  Returns:
    The processes of the run, which a thread already watches.

  Raises:
    ValueError: an argument is wrong, or the processes do not fit together.
  """
  # JAX's preemption service would replace this run's handler of SIGTERM.
  jax.config.update('jax_enable_preemption_service', False)
  if join_timeout <= 0:
    raise ValueError(f'--join_timeout={join_timeout} must be positive')
  local_devices = None
  if coordinator == AUTO:
    coordinator, num_processes, process_id, local_devices = _detect(
        join_timeout
    )
  elif not 0 <= process_id < num_processes:
    raise ValueError(
        f'--process_id={process_id} must be from 0 to below --num_processes='
        f'{num_processes}'
    )
  me = meeting.this_member(process_id)
  if num_processes == 1:
    return peers_lib.Peers(me, {}, 1)
  if coordinator is None:
    raise ValueError(
        f'--coordinator is needed for {num_processes} processes: HOST:PORT of'
        ' process 0, or auto'
    )
  host, port = _split(coordinator)
  try:
    if process_id == 0:
      links, jax_port = meeting.gather(host, port, num_processes, join_timeout)
    else:
      links, jax_port = meeting.join(
          host, port, me, num_processes, join_timeout
      )
  except TimeoutError as error:
    ending.end_now(exit_codes.RESTART, str(error))
  found = peers_lib.Peers(me, links, num_processes)
  # With asynchronous dispatch on CPUs, programs that do not depend on each
  # other may run in a different order in each process. Their collectives would
  # then wait for each other for ever.
  jax.config.update('jax_cpu_enable_async_dispatch', False)
  jax.distributed.initialize(
      relay.start(host, jax_port) if process_id else f'127.0.0.1:{jax_port}',
      num_processes,
      process_id,
      local_devices,
      coordinator_bind_address=f'[::]:{jax_port}',
  )
  return found


def introduce(peers: peers_lib.Peers, mesh: Mesh):
  """Logs the number of this process, its devices and its part of the mesh.

  Args:
    peers: the processes of the run.
    mesh: the mesh of all devices.
  """
  logging.info('%s', describe(peers, mesh))


def describe(peers: peers_lib.Peers, mesh: Mesh) -> str:
  """Returns the line that `introduce` logs.

  Args:
    peers: the processes of the run.
    mesh: the mesh of all devices.
  """
  local = jax.local_devices()
  is_local = np.vectorize(lambda device: device in local, otypes=[bool])
  coordinates = np.argwhere(is_local(mesh.devices))
  places = ', '.join(
      f'{axis} {meeting.name_numbers(sorted(set(column.tolist())))}'
      for axis, column in zip(mesh.axis_names, coordinates.T, strict=True)
  )
  numbers = meeting.name_numbers(
      [i for i, device in enumerate(jax.devices()) if device in local]
  )
  return (
      f'This is {peers.me} of {jax.process_count()}: {len(local)} local devices'
      f' ({local[0].device_kind}), numbers {numbers} of {jax.device_count()};'
      f' in the mesh {places}'
  )


def _detect(timeout: float) -> tuple[str, int, int, Sequence[int] | None]:
  """Asks the cluster for the place of this process in the run.

  Args:
    timeout: longest wait for the cluster's answer, in seconds.

  Returns:
    The address 'HOST:PORT' of process 0, the number of processes, the number of
    this process, and the numbers of its local devices (None for all).

  Raises:
    ValueError: JAX detects no cluster.
  """
  address, count, number, local_devices = (
      clusters.ClusterEnv.auto_detect_unset_distributed_params(
          None, None, None, None, None, int(timeout)
      )
  )
  if address is None or count is None or number is None:
    raise ValueError(
        '--coordinator=auto found no cluster that JAX knows (Cloud TPU, Slurm,'
        ' Kubernetes, Open MPI); give HOST:PORT, --num_processes and'
        ' --process_id, or leave it out for a run of one process'
    )
  return address, count, number, local_devices


def _split(coordinator: str) -> tuple[str, int]:
  """Returns host and port of --coordinator."""
  host, _, port = coordinator.rpartition(':')
  if not host or not port.isdigit() or not 0 < int(port) < 2**16:
    raise ValueError(
        f'--coordinator={coordinator} must be HOST:PORT of process 0, or auto'
    )
  # The brackets of an IPv6 address are not part of it.
  return host.strip('[]'), int(port)
