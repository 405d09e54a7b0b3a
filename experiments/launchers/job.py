"""Jobs, the commands of their processes, and the plans of back ends."""

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import re
from typing import Any, NamedTuple

from experiments.launchers import tpu as tpu_lib

# Folder of scripts and manifests, relative to the repository.
FOLDER = 'runs/launch'

# Exit codes after which the same command goes on from the last checkpoint. 75:
# the run was told to stop and has saved everything. 76: it ended for a reason
# that is not the user's, such as a lost process.
PREEMPTED = 75
RESTART = 76
# If a signal ends a process, a shell reports 128 + the number of the signal.
# JAX ends a process by SIGABRT if another one is lost. SIGBUS comes from a full
# disk of shared memory, SIGKILL from a lost host or from too little memory,
# SIGSEGV from a crash in native code, and SIGTERM from a stop before the
# program listens for it.
_SIGNALS = (134, 135, 137, 139, 143)
RESTART_CODES = (PREEMPTED, RESTART, *_SIGNALS)
RESTART_TEXT = ','.join(str(code) for code in RESTART_CODES)

# Kubernetes allows 63 characters, and JobSet adds some to the label.
_MAX_LABEL = 40


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of `python -m rvm_jax.main`, and the machines that it runs on.

  Attributes:
    name: name of the job, unique among the jobs that are launched together.
    config: path of the config file, relative to the repository.
    workdir: folder of the run, on a disk that all its hosts share.
    overrides: (key, value) pairs, as in --config.KEY=VALUE.
    processes: number of processes, one on each host except under `local`.
    devices: number of devices of each process; 0 leaves the choice to JAX.
    platform: 'cpu', 'gpu' or 'tpu'; None leaves the choice to JAX.
    topology: the TPU slice; None without TPUs.
    accelerator: type of GPU, by the cluster's name for it; None if the cluster
      has only one type.
    image: container image; None if no container is used.
    environment: (name, value) pairs of environment variables.
    max_restarts: how often the job is restarted before it is given up.
    grace_seconds: time from the signal to stop until processes are killed. It
      must exceed the time that saving a checkpoint takes.
    backoff_seconds: wait before the first restart, doubled for each further
      one (`local` only: schedulers have their own).
    spot: whether the machines may be taken away at any time.
    cluster: name of the GKE cluster.
    project: Google Cloud project; None for the default of Google's tools.
    zone: Google Cloud zone or region of the machines.
    queue: local queue of Kueue, or partition of Slurm.
    time_limit: Slurm's time limit, such as '2-00:00:00'; None for its default.
    mount: CLAIM:/PATH, a persistent volume claim and its mount point.
    profile_steps: FIRST:LAST, the steps of which the run writes a profile.
    extra: arguments that the back end passes on unchanged.
  """

  name: str
  config: str
  workdir: str
  overrides: tuple[tuple[str, str], ...] = ()
  processes: int = 1
  devices: int = 0
  platform: str | None = None
  topology: tpu_lib.Slice | None = None
  accelerator: str | None = None
  image: str | None = None
  environment: tuple[tuple[str, str], ...] = ()
  max_restarts: int = 10
  grace_seconds: int = 300
  backoff_seconds: float = 5.0
  spot: bool = False
  cluster: str | None = None
  project: str | None = None
  zone: str | None = None
  queue: str | None = None
  time_limit: str | None = None
  mount: str | None = None
  profile_steps: str | None = None
  extra: tuple[str, ...] = ()

  @property
  def label(self) -> str:
    """The name in a form that Kubernetes and clouds accept."""
    label = re.sub(r'[^a-z0-9]+', '-', self.name.lower()).strip('-')
    if not label[:1].isalpha():
      label = f'rvm-{label}'
    if label == self.name.replace('_', '-') and len(label) <= _MAX_LABEL:
      return label
    # A hash distinguishes names that are equal once they are cut, or once their
    # special characters are replaced.
    digest = hashlib.sha256(self.name.encode()).hexdigest()[:6]
    return f'{label[: _MAX_LABEL - 7].strip("-")}-{digest}'

  def path(self, suffix: str) -> str:
    """Returns the path of the job's script or manifest.

    Args:
      suffix: end of the file's name, such as '.yaml'.
    """
    return f'{FOLDER}/{self.label}{suffix}'


class Plan(NamedTuple):
  """The files and commands with which a back end launches a job.

  Attributes:
    files: contents of the files by path, relative to the repository.
    commands: argument lists of the commands. They run one after the other when
      the files are written.
  """

  files: Mapping[str, str]
  commands: Sequence[Sequence[str]]


def train_command(
    job: Job,
    *,
    python: str = 'python',
    coordinator: str | None = None,
    num_processes: int | str | None = None,
    process_id: int | str | None = None,
) -> list[str]:
  """Returns the argument list that starts one process of a job.

  Args:
    job: the job that the process is part of.
    python: path of the interpreter.
    coordinator: HOST:PORT, or 'auto'; None for a run of one process.
    num_processes: number of processes, or a reference to a variable with this
      number; None if the cluster provides it.
    process_id: number of the process, or a reference to a variable with this
      number; None if the cluster provides it.
  """
  arguments = [f'--config={job.config}', f'--workdir={job.workdir}']
  arguments += [f'--config.{key}={value}' for key, value in job.overrides]
  for flag, value in (
      ('profile_steps', job.profile_steps),
      ('coordinator', coordinator),
      ('num_processes', num_processes),
      ('process_id', process_id),
  ):
    if value is not None:
      arguments.append(f'--{flag}={value}')
  return [python, '-m', 'rvm_jax.main', *arguments]


def environment(job: Job) -> dict[str, str]:
  """Returns the environment variables of a job's processes.

  Besides those of the job, one names the platform: if the accelerator is not
  found, the run then ends at once instead of going on with the CPU.
  """
  added = {}
  if job.platform:
    # With 'cuda,cpu' JAX would take the CPU if CUDA is missing.
    name = 'cuda' if job.platform == 'gpu' else job.platform
    added['JAX_PLATFORMS'] = name
  if job.platform == 'cpu' and job.processes > 1:
    added['JAX_CPU_COLLECTIVES_IMPLEMENTATION'] = 'gloo'
  return added | dict(job.environment)


def require(job: Job, backend: str, *names: str):
  """Checks that a job has the attributes that a back end needs.

  Args:
    job: the job.
    backend: name of the back end, for the message.
    *names: names of the attributes, which are also those of the flags.

  Raises:
    ValueError: an attribute is None. The message names the flags.
  """
  missing = [name for name in names if getattr(job, name) is None]
  if missing:
    flags = ', '.join(f'--{name}' for name in missing)
    raise ValueError(f'--backend={backend} needs {flags}')


def submit_command(
    command: list[str], arguments: Mapping[str, Any], job: Job
) -> list[str]:
  """Returns the command line of a client that takes --KEY=VALUE and --env.

  Args:
    command: words that the command line starts with.
    arguments: values by the names of their flags, without dashes. A flag whose
      value is None is left out.
    job: job whose environment and extra arguments are added.
  """
  given = [f'--{k}={v}' for k, v in arguments.items() if v is not None]
  variables = [f'--env={k}={v}' for k, v in environment(job).items()]
  return [*command, *given, *variables, *job.extra]
