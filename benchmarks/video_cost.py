"""What a video costs an encoder, from the results of `cost.py`."""

import json
import math
import pathlib
from typing import Any

import contenders

RESULTS = pathlib.Path(__file__).parent / 'cost'
# Numbers of frames of a video in tables and pictures.
FRAMES = tuple(2**i for i in range(11))
# The size of RVM that an encoder of each size is compared with.
PEERS = {'S': 'S', 'B': 'B', 'L': 'L', 'H': 'H', 'H+': 'H', 'g': 'H'}

Result = dict[str, Any]


def read(suffix: str = '') -> dict[str, Result]:
  """Returns the results by the encoder's name, in the order of the tables.

  Args:
    suffix: '' for the results on this machine, '.v6e' for those of that chip.
  """
  paths = {x: RESULTS / f'{x}{suffix}.json' for x in contenders.NAMES}
  return {
      name: json.loads(path.read_text())
      for name, path in paths.items()
      if path.exists()
  }


def title(name: str) -> str:
  """Returns the words for an encoder's name, such as 'V-JEPA 2 L'."""
  family, size = contenders.find(name)
  return f'{family.title} {size}'


def peer(name: str) -> str:
  """Returns the name of the RVM that an encoder is compared with."""
  return f'rvm.{PEERS[contenders.find(name)[1]]}'


def call(result: Result, num_frames: int) -> Result | None:
  """Returns the call with a number of frames, None if there is none."""
  found = [x for x in result['calls'] if x['frames'] == num_frames]
  return found[0] if found else None


def is_clip(result: Result) -> bool:
  """Returns whether an encoder attends over time."""
  return contenders.find(result['name'])[0].kind == 'clip'


def step(result: Result) -> Result:
  """Returns the call whose cost does not depend on the video's length.

  It is that of one frame, or of a window.
  """
  found = call(result, contenders.WINDOW if is_clip(result) else 1)
  assert found
  return found


def count_video(result: Result, num_frames: int) -> float:
  """Returns the FLOPs of a video in equal calls; the last one is filled up."""
  one = step(result)
  return math.ceil(num_frames / one['frames']) * one['flops']


def memory(call: Result, key: str = 'temporary') -> float:
  """Returns the bytes that a call needs on its device, with the weights."""
  return call['arguments'] + call[key] + call['outputs']


def find_window_crossover(rvm: Result, rival: Result) -> int | None:
  """Returns the least number of frames from which on windows cost less FLOPs.

  From there to 1024 frames they do throughout. None if they do not.
  """
  found = None
  for num_frames in range(FRAMES[-1], 0, -1):
    if count_video(rival, num_frames) >= count_video(rvm, num_frames):
      break
    found = num_frames
  return found


def find_whole_crossover(rvm: Result, rival: Result) -> float | None:
  """Returns the number of frames from which on a whole call costs more FLOPs.

  The FLOPs of a frame grow in proportion to the number of frames, so that the
  line between two numbers that were counted is exact. None if there is no such
  number up to 1024 frames.
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
  """Returns the least counted frames for which a whole call needs more memory.

  Args:
    rvm: the result of RVM.
    rival: the result of an encoder of clips.
    key: 'unblocked' if all scores are in memory at once.
  """
  most = memory(step(rvm))
  return next(
      (x['frames'] for x in rival['calls'] if memory(x, key) > most), None
  )
