"""Pretrains RVM: `python -m rvm_jax.main --config=configs/rvm_base.py`.

Stopped in whatever way, the same command goes on from the last checkpoint.
Exit codes: 0 done; 75 stopped by SIGTERM with everything saved: run the same
command again; 1 an error, said in the last lines of the log.
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
from rvm_jax.evals.in_training import reconstruction
from rvm_jax.evals.in_training import scenes
from rvm_jax.training import logs
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives

EXIT_PREEMPTED = os.EX_TEMPFAIL  # 75: "try again later".

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'The run, a file of configs/.', lock_config=True
)
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Folder for checkpoints, logs and pictures.'
)
_COORDINATOR = flags.DEFINE_string(
    'coordinator',
    None,
    'HOST:PORT of process 0, for a run of several processes; or "auto" where'
    ' the cluster says it (Cloud TPU, Slurm, Kubernetes, Open MPI).',
)
_NUM_PROCESSES = flags.DEFINE_integer('num_processes', 1, 'Of the whole run.')
_PROCESS_ID = flags.DEFINE_integer('process_id', 0, 'Of this process.')
flags.mark_flags_as_required(['config', 'workdir'])


def main(argv: list[str]):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments: {argv[1:]}')
  logging.get_absl_handler().addFilter(logs.is_ours_or_urgent)
  connect()
  config, workdir = _CONFIG.value, _WORKDIR.value
  mesh = mesh_lib.make_mesh(config.fsdp)
  config_lib.validate(config, mesh_lib.num_batch_shards(mesh))
  os.makedirs(workdir, exist_ok=True)
  logging.info('Devices: %s', jax.devices())
  logging.info('Config:\n%s', config)
  objective = objectives.from_config(config)
  data = objectives.open_data(config)
  evaluators = {
      'reconstruction': reconstruction.ReconstructionEvaluator(config, data),
      'scenes': scenes.SceneEvaluator(config),
  }
  try:
    loop.train(config, workdir, objective, data, evaluators)
  except loop.Preempted as stop:
    logging.info('%s; run the same command to go on', stop)
    sys.exit(EXIT_PREEMPTED)


def connect():
  """Joins the processes of the run.

  Also where there is only one: what tells a run that it is about to be stopped
  is part of JAX's distributed service.
  """
  if _COORDINATOR.value == 'auto':
    jax.distributed.initialize()
    return
  address = _COORDINATOR.value or f'localhost:{_free_port()}'
  jax.distributed.initialize(address, _NUM_PROCESSES.value, _PROCESS_ID.value)


def _free_port() -> int:
  with socket.socket() as s:
    s.bind(('localhost', 0))
    return s.getsockname()[1]


if __name__ == '__main__':
  app.run(main)
