"""How the processes of a run agree on what went wrong in one of them."""

import jax
from jax.experimental import multihost_utils
import numpy as np

# Length in bytes to which the reason of a process is cut.
_LENGTH = 300


def gather_reasons(reason: str) -> str:
  """Tells every process what has failed in any of them.

  All processes must call this function at the same place of the program: after
  a step that can fail in one process alone, such as reading its part of a file,
  and before the next step in which all take part. Without it, the others would
  wait for ever for the process that failed.

  Args:
    reason: what has failed in this process; '' if nothing has.

  Returns:
    The same text in all processes: the first 300 bytes of each reason, preceded
    by the number of the process that gave it; '' if nothing has failed in any.
    A run of one process gets its own reason unchanged.
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
