"""Pretrains a model: `python -m rvm_jax.main --config=configs/rvm_base.py`.

If a run was stopped for any reason, the same command resumes it from its newest
checkpoint.

Exit codes:
  0: the run has done all of its steps.
  75: the run was stopped by SIGTERM or SIGINT, and all is saved; run the same
    command again to resume it.
  76: the run ended for a reason that is not the user's, such as a lost process;
    run the same command again.
  1: an error, which the last line on the screen describes.
  130: Ctrl-C during the start, or a second Ctrl-C later, has ended the run at
    once, and nothing is saved.
"""

import contextlib
import functools
import os
import signal
import sys

if __name__ == '__main__':
  # Until the run listens for signals, Ctrl-C ends the process at once. By
  # default Python would raise KeyboardInterrupt inside of the module that is
  # being imported, where the exception might be caught.
  signal.signal(signal.SIGINT, signal.SIG_DFL)

from absl import app
from absl import flags
from absl import logging
import ml_collections
from ml_collections import config_flags

from rvm_jax import config as config_lib
from rvm_jax.evals.in_training import evaluators as evaluators_lib
from rvm_jax.runtime import compilation
from rvm_jax.runtime import errors
from rvm_jax.runtime import exit_codes
from rvm_jax.runtime import facts
from rvm_jax.runtime import lock
from rvm_jax.runtime import peers as peers_lib
from rvm_jax.runtime import processes
from rvm_jax.runtime import stops
from rvm_jax.runtime import watchdog as watchdog_lib
from rvm_jax.training import logs
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import profiles
from rvm_jax.training import wandb_writer

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
_JOIN_TIMEOUT = flags.DEFINE_float(
    'join_timeout', 300.0, 'Longest wait for the other processes, in seconds.'
)
_PROFILE_STEPS = flags.DEFINE_string(
    'profile_steps',
    None,
    'FIRST:LAST, the first and the last step of a profile, which is written to'
    ' the workdir. The signal SIGUSR1 asks for a profile of the next 3 steps.',
)
flags.mark_flags_as_required(['config', 'workdir'])


def main(argv: list[str]):
  """Trains the model that the flag --config describes, in --workdir."""
  logging.get_absl_handler().addFilter(logs.is_ours_or_urgent)
  with errors.Reports() as reports:
    compilation.use_cache()
    if len(argv) > 1:
      raise ValueError(f'unexpected arguments: {argv[1:]}')
    config, workdir = _CONFIG.value, _WORKDIR.value
    config_lib.check_workdir(workdir)
    config_lib.check_repeats(flags.FLAGS, sys.argv)
    config_lib.check_settings(config)
    profiler = profiles.Profiler(
        workdir, profiles.parse_steps(_PROFILE_STEPS.value)
    )
    # A signal that comes before all processes are connected ends this process
    # at once.
    with processes.connect(
        _COORDINATOR.value,
        _NUM_PROCESSES.value,
        _PROCESS_ID.value,
        _JOIN_TIMEOUT.value,
    ) as peers:
      stop = stops.Stop()
      is_first = peers.me.process == 0
      with lock.held(workdir) if is_first else contextlib.nullcontext():
        peers.agree(facts.of_run(config, workdir))
        # From here on the workdir belongs to this run.
        reports.workdir = workdir
        with profiler:
          train(config, workdir, peers, stop, profiler)


def train(
    config: ml_collections.ConfigDict,
    workdir: str,
    peers: peers_lib.Peers,
    stop: stops.Stop,
    profiler: profiles.Profiler,
):
  """Trains a model, as one of the processes of a run.

  Args:
    config: the run's config, the same in all processes.
    workdir: folder of the run.
    peers: the processes of the run.
    stop: tells whether the run is to stop.
    profiler: writes profiles of the steps that were asked for.

  Raises:
    SystemExit: the run was told to stop, and has saved everything. The exit
      code is `exit_codes.PREEMPTED`.
  """
  mesh = mesh_lib.make_mesh(config.fsdp)
  processes.introduce(peers, mesh)
  config_lib.validate(config, mesh_lib.num_batch_shards(mesh))
  os.makedirs(workdir, exist_ok=True)
  logging.info('Config:\n%s', config)
  objective = objectives.from_config(config)
  data = objectives.open_data(config)
  peers.agree(data.facts())
  watchdog = watchdog_lib.Watchdog(workdir, peers, config.max_step_seconds)
  try:
    evaluators = evaluators_lib.open_all(config, data, stop.check)
    with (
        watchdog,
        wandb_writer.send(workdir, config.wandb_project, config.to_dict()),
    ):
      loop.train(
          config,
          workdir,
          objective,
          data,
          evaluators,
          stop=stop,
          watchdog=watchdog,
          profiler=profiler,
      )
  except stops.Stopped as preempted:
    logging.info('%s; run the same command to go on', preempted)
    sys.exit(exit_codes.PREEMPTED)


if __name__ == '__main__':
  app.run(
      main,
      flags_parser=functools.partial(
          errors.parse_flags, read=config_lib.parse_flags
      ),
  )
