"""A stand-in for `runtime.stops.Stop` that stops a run at a chosen moment."""

from rvm_jax.runtime import stops


class StopAt:
  """Asks a run to stop at a step, or at a check of an evaluation."""

  def __init__(self, step=None, check=None):
    """Sets the moment.

    Args:
      step: which step to stop at, counted from 1 at this start of the run; 0
        for a stop before the first one; None for no stop at a step.
      check: which check raises, counted from 1; None for none. An evaluation
        checks once before each evaluator.
    """
    self._step = step
    self._check = check
    self._num_asked = 0
    self._num_checked = 0

  def ask(self):
    is_now = self._num_asked == self._step
    self._num_asked += 1
    return stops.Answer(is_now)

  def check(self):
    self._num_checked += 1
    if self._num_checked == self._check:
      raise stops.Stopped
