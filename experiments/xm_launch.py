r"""XManager script: a run, or a sweep of runs, with the local executor.

  xmanager launch experiments/xm_launch.py -- --config=configs/rvm_demo.py \
      --workdir=runs/demo --override=num_steps=400

Each run is a work unit of one job. The job starts experiments/launch.py with
the back end `local` as a binary, without Docker and without a cloud. This back
end starts, watches and restarts the processes of the run. All work units start
at once. The script needs the extra `xmanager`.
"""

import os
import sys

# XManager looks for modules in this folder. The package `experiments` is in the
# folder above.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from absl import flags
from xmanager import xm
from xmanager import xm_local

from experiments.launchers import job as job_lib
from experiments.launchers import sweep as sweep_lib

_LAUNCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'launch.py')
_CONFIG = flags.DEFINE_string(
    'config', None, 'Config of the run, such as configs/rvm_base.py.'
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run.')
_SWEEP = flags.DEFINE_string(
    'sweep', None, 'Sweep, such as experiments/sweeps/seeds.py.'
)
_NAME = flags.DEFINE_string('name', 'rvm', 'Title of the experiment.')
_OVERRIDE = flags.DEFINE_multi_string(
    'override', [], 'Setting of the run, KEY=VALUE'
)
_PASSED = flags.DEFINE_multi_string(
    'launch', [], 'Argument for experiments/launch.py'
)
_PYTHON = flags.DEFINE_string(
    'python', sys.executable, 'Python of the runs, which needs rvm_jax.'
)
flags.mark_flags_as_required(['config', 'workdir'])


def main(argv: list[str]):
  """Packages the launcher once and adds a work unit for each job."""
  del argv
  overrides = (text.partition('=') for text in _OVERRIDE.value)
  base = job_lib.Job(
      name=_NAME.value,
      config=_CONFIG.value,
      workdir=_WORKDIR.value,
      overrides=tuple((key, value) for key, _, value in overrides),
  )
  jobs = sweep_lib.jobs(base, _SWEEP.value)
  with xm_local.create_experiment(experiment_title=_NAME.value) as experiment:
    (executable,) = experiment.package(
        [xm.binary(executor_spec=xm_local.Local.Spec(), path=_PYTHON.value)]
    )
    for job in jobs:
      arguments = [
          _LAUNCH,
          '--backend=local',
          f'--config={job.config}',
          f'--workdir={job.workdir}',
          f'--name={job.name}',
          *_PASSED.value,
          *(f'--config.{key}={value}' for key, value in job.overrides),
      ]
      experiment.add(
          xm.Job(
              executable=executable,
              executor=xm_local.Local(experimental_stream_output=True),
              args=arguments,
          )
      )
