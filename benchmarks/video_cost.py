"""Computes what a video costs an encoder, from the results of `cost.py`."""

import json
import math
import pathlib
from typing import Any

import contenders

RESULTS = pathlib.Path(__file__).parent / 'cost'
# Numbers of frames of a video in tables and pictures.
FRAMES = tuple(2**i for i in range(11))
# For each size of an encoder, the size of the RVM that it is compared with.
PEERS = {'S': 'S', 'B': 'B', 'L': 'L', 'H': 'H', 'H+': 'H', 'g': 'H'}

# A result as `cost.count` writes it, or one of its calls.
Result = dict[str, Any]


def read(suffix: str = '') -> dict[str, Result]:
  """Returns the results by the encoder's name, in the order of the tables.

  Args:
    suffix: '' for the results with the CPU's compiler, '.v6e' for those with
      the compiler of that TPU.
  """
  paths = {x: RESULTS / f'{x}{suffix}.json' for x in contenders.NAMES}
  return {
      name: json.loads(path.read_text())
      for name, path in paths.items()
      if path.exists()
  }


def title(name: str) -> str:
  """Returns the name of an encoder in tables, such as 'V-JEPA 2 L'."""
  family, size = contenders.find(name)
  return f'{family.title} {size}'


def peer(name: str) -> str:
  """Returns the name of the RVM that an encoder is compared with."""
  return f'rvm.{PEERS[contenders.find(name)[1]]}'


def call(result: Result, num_frames: int) -> Result | None:
  """Returns the result's call with this many frames; None if there is none."""
  found = [x for x in result['calls'] if x['frames'] == num_frames]
  return found[0] if found else None


def is_clip(result: Result) -> bool:
  """Returns whether a result is that of a clip model."""
  return contenders.find(result['name'])[0].kind == 'clip'


def step(result: Result) -> Result:
  """Returns the call that a video of any length is encoded by, over and over.

  It has one frame; for clip models it has one window of 16 frames.
  """
  found = call(result, contenders.WINDOW if is_clip(result) else 1)
  assert found
  return found


def count_video(result: Result, num_frames: int) -> float:
  """Returns the FLOPs of a video in calls of `step`; the last is filled up."""
  one = step(result)
  return math.ceil(num_frames / one['frames']) * one['flops']


def memory(call: Result, key: str = 'temporary') -> float:
  """Returns the bytes that a call needs on its device, with the weights.

  Args:
    call: a call of a result.
    key: 'temporary' if attention is computed in blocks of queries, 'unblocked'
      if all scores are in memory at once.
  """
  return call['arguments'] + call[key] + call['outputs']


def find_window_crossover(rvm: Result, rival: Result) -> int | None:
  """Returns the number of frames from which on windows cost fewer FLOPs.

  It is the least number such that windows of the rival cost fewer FLOPs than
  RVM for all lengths from there up to 1024 frames; None if there is none.

  Args:
    rvm: the result of RVM.
    rival: the result of a clip model.
  """
  found = None
  for num_frames in range(FRAMES[-1], 0, -1):
    if count_video(rival, num_frames) >= count_video(rvm, num_frames):
      break
    found = num_frames
  return found


def find_whole_crossover(rvm: Result, rival: Result) -> float | None:
  """Returns the number of frames from which on a whole call costs more FLOPs.

  In a call with all frames, the FLOPs a frame are a constant plus a term that
  is proportional to the number of frames. Linear interpolation between two
  counted lengths is therefore exact.

  Args:
    rvm: the result of RVM.
    rival: the result of a clip model.

  Returns:
    The number of frames, in general not an integer; None if a whole call costs
    fewer FLOPs than RVM up to 1024 frames.
  """
  wanted = step(rvm)['flops']
  points = [(x['frames'], x['flops'] / x['frames']) for x in rival['calls']]
  if points[0][1] >= wanted:
    return points[0][0]
  for (x0, y0), (x1, y1) in zip(points, points[1:]):
    if y1 >= wanted:
      return x0 + (x1 - x0) * (wanted - y0) / (y1 - y0)
  return None


def find_memory_crossover(
    rvm: Result, rival: Result, key: str = 'temporary'
) -> int | None:
  """Returns the least counted length at which a whole call needs more memory.

  Args:
    rvm: the result of RVM.
    rival: the result of a clip model.
    key: 'temporary' or 'unblocked', as for `memory`.

  Returns:
    The number of frames; None if no counted call needs more memory than RVM.
  """
  most = memory(step(rvm))
  return next(
      (x['frames'] for x in rival['calls'] if memory(x, key) > most), None
  )
