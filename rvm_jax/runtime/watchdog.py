"""Ends a run that makes no progress any more."""

import contextlib


class Off:
  """Takes the place of a watchdog where nothing is watched."""

  def beat(self, step: int):
    """Does nothing.

    Args:
      step: number of steps done.
    """

  def allow(self, what: str) -> contextlib.AbstractContextManager[None]:
    """Does nothing.

    Args:
      what: what may take longer than a step, such as 'evaluation'.
    """
    del what
    return contextlib.nullcontext()


OFF = Off()
