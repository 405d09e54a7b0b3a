"""How the processes of a run agree on what went wrong in one of them."""

import jax
from jax.experimental import multihost_utils
import numpy as np

# Bytes of a text that the others get to know.
_LENGTH = 300


def gather_reasons(reason: str) -> str:
  """Returns what has failed in any process; the same in all of them.

  All processes must call this function at the same place of the program. A step
  that can fail in one process, such as reading its part of a file, ends with it
  before the next step in which all take part. Nobody then waits for ever for
  the one that failed.

  Args:
    reason: what has failed in this process; '' if nothing has.

  Returns:
    The first 300 bytes of each reason, with the number of its process if there
    are several processes; '' if nothing has failed in any.
  """
  if jax.process_count() == 1:
    return reason
  text = np.zeros(_LENGTH, np.uint8)
  encoded = np.frombuffer(reason.encode()[:_LENGTH], np.uint8)
  text[: len(encoded)] = encoded
  reasons = [
      row.tobytes().rstrip(b'\0').decode(errors='ignore')
      for row in multihost_utils.process_allgather(text)
  ]
  return '; '.join(
      f'process {number}: {reason}'
      for number, reason in enumerate(reasons)
      if reason
  )
