"""Profiles of a run: what devices and threads do in a few of its steps.

There are two ways to get one, and neither changes the results of the run:

  python -m rvm_jax.main ... --profile_steps=FIRST:LAST
  kill -USR1 PID        the next 3 steps of a process that runs already

A profile is written to a folder in `WORKDIR/profiles`. With several processes
each writes to a folder of its own in it. Profiled steps take somewhat longer
than others, and a profile takes megabytes. XProf shows it, alone or in
TensorBoard:

  pip install xprof
  xprof --logdir=WORKDIR/profiles
"""

import contextlib
import os
import signal
from typing import Any

from absl import logging
import jax

FOLDER = 'profiles'
# Number of steps in a profile that SIGUSR1 asks for.
NUM_STEPS = 3


class Profiler(contextlib.AbstractContextManager):
  """Writes profiles of the steps that were asked for.

  Nothing that goes wrong with a profile ends the run: it logs a warning. As a
  context manager it completes a profile when the run ends.
  """

  def __init__(
      self, workdir: str | os.PathLike[str], steps: tuple[int, int] | None
  ):
    """Installs the handler of SIGUSR1, and returns at once.

    Args:
      workdir: folder of the run.
      steps: the first and the last step to profile; None for no step. If the
        run resumes between them, the rest of them is profiled.
    """
    self._workdir = workdir
    self._wanted = steps
    self._is_asked = False
    # Where the profile in progress is written.
    self._folder: str | None = None
    # Only the main thread may install a handler. Without one SIGUSR1 would end
    # the process.
    signal.signal(signal.SIGUSR1, self._ask)

  def __exit__(self, *_):
    self._complete()

  def step(
      self, step: int, state: Any
  ) -> contextlib.AbstractContextManager[None]:
    """Returns a context manager that marks a step in the profile.

    If a profile is due, it begins or ends before this method returns.

    Args:
      step: number of the step that comes next, counted from 1.
      state: training state after the step before. It is waited for at the
        beginning and at the end of a profile.
    """
    self._begin_or_end(step, state)
    return jax.profiler.StepTraceAnnotation('train', step_num=step)

  def _ask(self, *_):
    """Handles SIGUSR1."""
    self._is_asked = True

  def _begin_or_end(self, step: int, state: Any):
    """Begins or ends a profile, if that is due before a step."""
    if self._is_asked:
      self._is_asked = False
      if self._folder is None:
        self._wanted = step, step + NUM_STEPS - 1
    if self._wanted is None:
      return
    first, last = self._wanted
    if step > last:
      jax.block_until_ready(state)
      self._complete()
      self._wanted = None
    elif step >= first and self._folder is None:
      jax.block_until_ready(state)
      self._start(step, last)

  def _start(self, first: int, last: int):
    """Starts a profile."""
    parts = [self._workdir, FOLDER, f'steps_{first}-{last}']
    # Otherwise processes on one host would write to the same file.
    if jax.process_count() > 1:
      parts.append(f'process_{jax.process_index()}')
    folder = os.path.join(*parts)
    try:
      os.makedirs(folder, exist_ok=True)
      jax.profiler.start_trace(folder)
    except (OSError, RuntimeError) as error:
      logging.warning('There is no profile of step %d: %s', first, error)
      self._wanted = None
      return
    self._folder = folder

  def _complete(self):
    """Ends the profile in progress, if any, and writes it."""
    if self._folder is None:
      return
    folder, self._folder = self._folder, None
    try:
      jax.profiler.stop_trace()
    except (OSError, RuntimeError) as error:
      logging.warning('%s cannot be written: %s', folder, error)
      return
    logging.info(
        'Wrote %s. To see it: pip install xprof; xprof --logdir=%s',
        folder,
        os.path.join(self._workdir, FOLDER),
    )


class Off:
  """Takes the place of a `Profiler` where nobody asks for profiles."""

  def step(
      self, step: int, state: Any
  ) -> contextlib.AbstractContextManager[None]:
    """Returns a context that does nothing."""
    del step, state
    return contextlib.nullcontext()


OFF = Off()


def parse_steps(text: str | None) -> tuple[int, int] | None:
  """Returns the first and the last of the steps that a text names.

  Args:
    text: the steps as FIRST:LAST, such as '100:102'; None for no step.

  Raises:
    ValueError: the text is something else.
  """
  if text is None:
    return None
  parts = text.split(':')
  if len(parts) == 2 and all(part.isdecimal() for part in parts):
    first, last = map(int, parts)
    if 1 <= first <= last:
      return first, last
  raise ValueError(
      f'--profile_steps={text} must be FIRST:LAST, the numbers of two steps'
      ' counted from 1, such as 100:102'
  )
