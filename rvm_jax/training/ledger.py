"""The ledger of a run: a file that says where the wall time of the run went.

The file is `workdir`/ledger.jsonl, with a line for each event. Each line is a
JSON object with 'event', 'time' (seconds since 1970, when the event was over)
and 'step' (number of steps done). Further values depend on the event:

  start: the run was started or resumed. 'seconds': the time from the opening
    of the ledger to this line, mostly spent on restoring the state. 'host',
    'processes', 'devices', 'device_kind', 'jax' (its version), 'num_steps',
    'clips' (in a step), 'flops' (of a step) and 'peak' (FLOP/s of all devices);
    the last two are null if they are not known. Every start but the first also
    has 'lost', the number of steps that are done again, and 'down', the seconds
    from the last line of the start before to the opening of the ledger, or 0 if
    that start had done all steps.
  compile: the first step of this start, 'from' + 1, is done. 'seconds': its
    duration, compilation included. 'data_wait': the part of 'seconds' spent
    waiting for the first batch.
  steps: the steps 'from' + 1 to 'step' are done. 'seconds': their duration,
    without what other events time. 'data_wait': the part of 'seconds' spent
    waiting for data.
  evaluation: the evaluator 'name' is done. 'seconds': its duration.
  save: a checkpoint is being written. 'seconds': the time to copy the state;
    for the last checkpoint of a start also the time until it was whole.
  saved: a checkpoint is whole. 'seconds': the time that the loop waited for it.
  end: the process ends, also by an error or a hang. 'code': its exit code.
    'why': the reason. A start that was killed has no such line.

`training.goodput` prints tables of the ledger, and makes a page of it.
"""

from collections.abc import Iterator
import contextlib
import os
import socket
import time
from typing import Any

import jax

from rvm_jax.runtime import ending
from rvm_jax.runtime import errors
from rvm_jax.runtime import exit_codes
from rvm_jax.runtime import stops
from rvm_jax.runtime import watchdog as watchdog_lib
from rvm_jax.storage import json_lines
from rvm_jax.training import peaks
from rvm_jax.training import stopwatch

FILE = 'ledger.jsonl'


class Ledger:
  """Times what a run does, and writes it down. Only process 0 writes.

  As a context manager it also writes how the run ended, by an exception or by
  `runtime.ending.end_now`.

  Attributes:
    watch: stopwatch of the steps.
  """

  def __init__(
      self,
      workdir: str | os.PathLike[str],
      watchdog: watchdog_lib.Watchdog | watchdog_lib.Off = watchdog_lib.OFF,
  ):
    """Opens the ledger and starts the clock.

    Args:
      workdir: folder of the run, which is made if it does not exist.
      watchdog: watchdog, which is told when a block of `timed` begins and ends,
        since it may take longer than a step.
    """
    self._watchdog = watchdog
    self.watch = stopwatch.Stopwatch()
    # Lines of earlier starts.
    self._before: list[json_lines.Record] = []
    self._file = None
    # Number of steps that were done when the stopwatch was last read.
    self._step = 0
    self._is_compiled = False
    # Clips per second at which the devices would reach their peak.
    self._peak_rate: float | None = None
    if jax.process_index() == 0:
      os.makedirs(workdir, exist_ok=True)
      path = os.path.join(workdir, FILE)
      self._file = json_lines.Appender(path)
      if os.path.exists(path):
        self._before = json_lines.read(path)

  def start(
      self,
      step: int,
      *,
      num_steps: int,
      batch_size: int,
      flops_per_clip: float | None,
  ):
    """Writes that the run starts, or resumes.

    Args:
      step: number of steps done.
      num_steps: number of steps of the whole run.
      batch_size: number of clips in a step, over all devices.
      flops_per_clip: number of FLOPs of a training step for one clip, see
        `protocols.Objective`; None if it is not known.
    """
    seconds = self.watch.read().seconds
    device = jax.devices()[0]
    peak = peaks.find(device.device_kind)
    if peak is not None:
      peak *= jax.device_count()
      if flops_per_clip is not None:
        self._peak_rate = peak / flops_per_clip
    self._step = step
    self._write(
        'start',
        seconds=seconds,
        **describe_restart(self._before, step, time.time() - seconds),
        host=socket.gethostname(),
        processes=jax.process_count(),
        devices=jax.device_count(),
        device_kind=device.device_kind,
        jax=jax.__version__,
        num_steps=num_steps,
        clips=batch_size,
        flops=flops_per_clip and flops_per_clip * batch_size,
        peak=peak,
    )

  def compiled(self, metrics: Any):
    """Waits for the first step since the start, and writes that it is done.

    Later calls do nothing.

    Args:
      metrics: arrays that the step returns.
    """
    if not self._is_compiled:
      self._is_compiled = True
      jax.block_until_ready(metrics)
      self._read('compile')

  def steps(self) -> dict[str, float]:
    """Writes a line about the steps since the last such line.

    All of these steps must be done.

    Returns:
      The rates of `stopwatch.Interval.rates`, and 'mfu' where the peak of the
      devices and the FLOPs of the objective are known: the share of the peak
      that the model's FLOPs take, in [0, 1]. An empty dict if no step was done.
    """
    rates = self._read('steps').rates()
    if rates and self._peak_rate is not None:
      rates['mfu'] = rates['clips_per_second'] / self._peak_rate
    return rates

  @contextlib.contextmanager
  def timed(
      self, event: str, *, after: Any = None, **more: str
  ) -> Iterator[None]:
    """Times a block apart from the steps, and writes it as an event.

    Args:
      event: name of the event.
      after: arrays to wait for before the clock starts: those that the last
        step returns; None if that step is known to be done.
      **more: further values of the line, by name.
    """
    jax.block_until_ready(after)
    span = stopwatch.Span()
    try:
      with self._watchdog.allow(event), self.watch.apart() as span:
        yield
    finally:
      self._write(event, **more, seconds=span.seconds)

  def end(self, code: int, why: str):
    """Writes that the run ends; it may be called from any thread.

    Args:
      code: exit code, see `runtime.exit_codes`.
      why: what has happened.
    """
    # The steps that were begun since the last line may not be done.
    self._write('end', step=self._step, code=code, why=why)

  def __enter__(self):
    ending.tell(self.end)
    return self

  def __exit__(self, kind, error, trace):
    del kind, trace
    ending.tell_no_more(self.end)
    if error is None:
      self.end(exit_codes.DONE, 'done')
    elif isinstance(error, stops.Stopped):
      self.end(exit_codes.PREEMPTED, str(error))
    else:
      self.end(errors.choose_code(error), errors.summarise(error))

  def _read(self, event: str) -> stopwatch.Interval:
    """Reads the stopwatch, and writes an event if steps were done."""
    interval = self.watch.read()
    first, self._step = self._step, self._step + interval.steps
    if interval.steps:
      self._write(
          event,
          **{'from': first},
          seconds=interval.seconds,
          data_wait=interval.data_wait,
      )
    return interval

  def _write(self, event: str, **values):
    if self._file is None:
      return
    line = {
        'event': event,
        'time': round(time.time(), 3),
        'step': self._step + self.watch.steps,
    }
    self._file.append(
        line
        | {
            key: round(x, 4) if isinstance(x, float) else x
            for key, x in values.items()
        }
    )


def describe_restart(
    before: list[json_lines.Record], step: int, now: float
) -> dict[str, float]:
  """Returns what a restart has cost; nothing for the first start.

  Args:
    before: lines of the ledger that earlier starts have written.
    step: number of steps done in the state that the run resumes from.
    now: time at which the run was started again, seconds since 1970.

  Returns:
    'lost', the number of steps that the previous start is known to have done
    and that are done again; and 'down', the seconds since its last line, or 0
    if it had done all steps of the run.
  """
  if not before:
    return {}
  last = before[-1]
  is_done = last['event'] == 'end' and last['code'] == exit_codes.DONE
  return {
      'lost': max(last['step'] - step, 0),
      'down': 0.0 if is_done else max(now - last['time'], 0.0),
  }
