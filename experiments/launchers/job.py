"""What is launched: a job, the commands of its processes, a back end's plan."""

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import re
from typing import Any, NamedTuple

from experiments.launchers import tpu as tpu_lib

# Where scripts and manifests are written, relative to the repository.
FOLDER = 'runs/launch'

# Exit codes after which the same command goes on from the last checkpoint.
PREEMPTED = 75  # Told to stop, and everything is saved.
RESTART = 76  # Ended for a reason that is not the user's, such as a lost peer.
# A shell shows a process that a signal ended as 128 + the signal. SIGABRT is
# how JAX ends a process whose peer is gone; SIGBUS comes of a full
# shared-memory disk, SIGKILL of a lost host or of too little memory, SIGSEGV of
# a crash in native code, SIGTERM of a stop before the program listens for it.
_SIGNALS = (134, 135, 137, 139, 143)
RESTART_CODES = (PREEMPTED, RESTART, *_SIGNALS)
RESTART_TEXT = ','.join(str(code) for code in RESTART_CODES)

_MAX_LABEL = 40  # Kubernetes has 63 characters, of which it adds some itself.


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of `python -m rvm_jax.main`, and what it runs on.

  Attributes:
    name: unique among the jobs that are launched together.
    config: path of the config file, relative to the repository.
    workdir: the run's folder, on a disk that all its hosts share.
    overrides: (key, value) pairs, as in --config.KEY=VALUE.
    processes: number of processes, one on each host except under `local`.
    devices: devices of each process; 0 leaves the choice to JAX.
    platform: 'cpu', 'gpu' or 'tpu'; None leaves the choice to JAX.
    topology: the TPU slice; None without TPUs.
    accelerator: type of GPU, as the cluster names it; None where it has one.
    image: container image; None where no container is used.
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
    queue: Kueue's local queue, or Slurm's partition.
    time_limit: Slurm's time limit, such as '2-00:00:00'; None for its default.
    mount: CLAIM:PATH, a persistent volume claim and where it is mounted.
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
    """The name in the form that Kubernetes and clouds take."""
    label = re.sub(r'[^a-z0-9]+', '-', self.name.lower()).strip('-')
    if not label[:1].isalpha():
      label = f'rvm-{label}'
    if label == self.name.replace('_', '-') and len(label) <= _MAX_LABEL:
      return label
    # A hash keeps apart names that are cut or differ in other characters.
    digest = hashlib.sha256(self.name.encode()).hexdigest()[:6]
    return f'{label[: _MAX_LABEL - 7].strip("-")}-{digest}'

  def path(self, suffix: str) -> str:
    """Where the job's script or manifest is written."""
    return f'{FOLDER}/{self.label}{suffix}'


class Plan(NamedTuple):
  """What a back end does for a job.

  Attributes:
    files: text by path, relative to the repository.
    commands: argument lists, run one after the other once the files are there.
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
  """Returns the argument list of one process.

  Args:
    job: the job that the process is part of.
    python: path of the interpreter.
    coordinator: HOST:PORT, or 'auto'; None for a run of one process.
    num_processes: number of processes, or a variable that holds it; None where
      the cluster says it.
    process_id: number of the process, or a variable that holds it.
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

  To those of the job it adds the platform, so that a run whose accelerator is
  not found ends at once instead of going on with the CPU.
  """
  added = {}
  if job.platform:
    # Not 'cuda,cpu': where CUDA is missing JAX would take the second.
    name = 'cuda' if job.platform == 'gpu' else job.platform
    added['JAX_PLATFORMS'] = name
  if job.platform == 'cpu' and job.processes > 1:
    added['JAX_CPU_COLLECTIVES_IMPLEMENTATION'] = 'gloo'
  return added | dict(job.environment)


def require(job: Job, backend: str, *names: str):
  """Raises ValueError, naming the flags, where a job lacks what it needs."""
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
    arguments: values by flag, without the dashes. Those that are None are left
      out.
    job: the job, for its environment and its extra arguments.
  """
  given = [f'--{k}={v}' for k, v in arguments.items() if v is not None]
  variables = [f'--env={k}={v}' for k, v in environment(job).items()]
  return [*command, *given, *variables, *job.extra]
