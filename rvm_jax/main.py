"""Pretrains a model: `python -m rvm_jax.main --config=configs/rvm_base.py`.

If a run was stopped for any reason, the same command resumes it from its newest
checkpoint.

Exit codes:
  0: the run has done all of its steps.
  75: the run was stopped by SIGTERM or SIGINT, and all is saved; run the same
    command again to resume it.
  1: an error, which the last lines of the log describe.
"""

import os
import socket
import sys

from absl import app
from absl import flags
from absl import logging
import jax
from ml_collections import config_flags

from rvm_jax import config as config_lib
from rvm_jax.evals.in_training import evaluators as evaluators_lib
from rvm_jax.runtime import exit_codes
from rvm_jax.runtime import stops
from rvm_jax.training import logs
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives

_CONFIG = config_flags.DEFINE_config_file(
    'config',
    None,
    'Path of the config of the run, such as configs/rvm_base.py.',
    lock_config=True,
)
_WORKDIR = flags.DEFINE_string(
    'workdir',
    None,
    'Folder for the checkpoints, TensorBoard events and pictures of the run.',
)
_COORDINATOR = flags.DEFINE_string(
    'coordinator',
    None,
    'HOST:PORT of process 0, for a run of several processes; or "auto" on'
    ' clusters that JAX knows (Cloud TPU, Slurm, Kubernetes, Open MPI).',
)
_NUM_PROCESSES = flags.DEFINE_integer(
    'num_processes', 1, 'Number of processes of the whole run.'
)
_PROCESS_ID = flags.DEFINE_integer(
    'process_id', 0, 'Index of this process, counted from 0.'
)
flags.mark_flags_as_required(['config', 'workdir'])


def main(argv: list[str]):
  """Trains the model that the flag --config describes, in --workdir."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments: {argv[1:]}')
  logging.get_absl_handler().addFilter(logs.is_ours_or_urgent)
  stop = stops.Stop()
  # `stop` takes the place of JAX's own service, which misses for ever a signal
  # that comes before the first step of a resumed run.
  jax.config.update('jax_enable_preemption_service', False)
  config, workdir = _CONFIG.value, _WORKDIR.value
  config_lib.check_repeats(flags.FLAGS, sys.argv)
  config_lib.check_settings(config)
  connect()
  mesh = mesh_lib.make_mesh(config.fsdp)
  config_lib.validate(config, mesh_lib.num_batch_shards(mesh))
  os.makedirs(workdir, exist_ok=True)
  logging.info('Devices: %s', jax.devices())
  logging.info('Config:\n%s', config)
  objective = objectives.from_config(config)
  data = objectives.open_data(config)
  evaluators = evaluators_lib.open_all(config, data, stop.check)
  try:
    loop.train(config, workdir, objective, data, evaluators, stop=stop)
  except loop.Preempted as stop:
    logging.info('%s; run the same command to go on', stop)
    sys.exit(exit_codes.PREEMPTED)


def connect():
  """Starts JAX's distributed service, which connects the processes of the run.

  A run of a single process starts it too, so that one process and many take the
  same way.
  """
  if _COORDINATOR.value == 'auto':
    jax.distributed.initialize()
    return
  address = _COORDINATOR.value or f'localhost:{_free_port()}'
  jax.distributed.initialize(address, _NUM_PROCESSES.value, _PROCESS_ID.value)


def _free_port() -> int:
  """Returns the number of a TCP port that is unused at the moment."""
  with socket.socket() as s:
    s.bind(('localhost', 0))
    return s.getsockname()[1]


if __name__ == '__main__':
  app.run(main)
