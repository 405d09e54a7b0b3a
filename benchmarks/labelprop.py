"""Measures label propagation against a plain implementation in NumPy.

  python benchmarks/labelprop.py

Both get the same random features of unit length for 30 x 55 patches, which is
the grid of DAVIS at 480 x 880 pixels. As in the DAVIS benchmark, they search
the first frame and a queue of 20 frames, with the 7 best patches and radius 20.
The plain implementation computes all affinities of a frame as one matrix with
BLAS, masks it, and takes the best with np.argpartition. In both, the time for a
frame depends neither on the features nor on its place in the video. The plain
implementation runs last, so that the peak of memory is that of ours.
"""

import collections
import resource
import time

from absl import app
from absl import flags
import jax
import numpy as np

from rvm_jax.evals.propagation import label_propagation

_FRAMES = flags.DEFINE_integer(
    'frames', 4, 'Number of frames in a run.', lower_bound=1
)
_ROUNDS = flags.DEFINE_integer(
    'rounds', 3, 'Number of runs, of which the fastest counts.'
)
_WIDTHS = flags.DEFINE_multi_integer(
    'width', [768], 'Length D of the features; may be repeated.'
)
_GRID = (30, 55)
_NUM_LABELS = 4
# The defaults of `label_propagation.propagate`.
_CONTEXT, _TEMPERATURE, _TOP_K, _RADIUS = 20, 0.7, 7, 20


def propagate_plainly(features, labels):
  """Propagates labels like `label_propagation.propagate` with its defaults.

  Args:
    features: float32 [T, h, w, D].
    labels: float32 [h, w, L], soft labels of the first frame.

  Returns:
    Soft labels of all frames, float32 [T, h, w, L].
  """
  _, height, width, size = features.shape
  patches = height * width
  # Added to the affinities with a frame of the queue, [h * w, h * w]: 0 within
  # the radius, else very negative.
  places = np.stack(np.mgrid[:height, :width], -1).reshape(patches, 2)
  square = np.square(places[:, None] - places[None]).sum(-1)
  mask = np.where(square < _RADIUS**2, 0, -1e10).astype(np.float32)
  first = features[0].reshape(patches, size), labels.reshape(patches, -1)
  queue = collections.deque([first] * _CONTEXT, _CONTEXT)
  result = []
  for frame in features:
    frame = frame.reshape(patches, size)
    # All affinities of the frame, [h * w, 21 * h * w]. The radius does not
    # apply to the first of the 21 frames.
    context, votes = (np.concatenate(x) for x in zip(first, *queue))
    affinity = frame @ context.T
    affinity /= np.float32(_TEMPERATURE)
    affinity.reshape(patches, -1, patches)[:, 1:] += mask[:, None]
    # The best patches, in any order, and the weighted mean of their labels.
    best = np.argpartition(affinity, -_TOP_K, axis=1)[:, -_TOP_K:]
    values = np.take_along_axis(affinity, best, 1)
    weights = np.exp(values - values.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    prediction = np.einsum('qk,qkl->ql', weights, votes[best])
    result.append(prediction.reshape(labels.shape))
    queue.append((frame, prediction))
  return np.stack(result)


def _time(function, *args):
  """Returns the seconds of the fastest call, and the function's result."""
  seconds = []
  for _ in range(_ROUNDS.value):
    start = time.perf_counter()
    result = np.asarray(function(*args))
    seconds.append(time.perf_counter() - start)
  return min(seconds), result


def _peak_memory():
  """Returns the largest memory that this process has had so far, in GiB."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(_):
  """Measures each length of features and prints a table."""
  rng = np.random.default_rng(0)
  labels = rng.random((*_GRID, _NUM_LABELS), np.float32)
  rows = []
  for width in _WIDTHS.value:
    features = rng.normal(size=(_FRAMES.value, *_GRID, width))
    features = label_propagation.normalize(features.astype(np.float32))
    start = time.perf_counter()
    np.asarray(label_propagation.propagate(features, labels))
    first = time.perf_counter() - start
    ours, found = _time(label_propagation.propagate, features, labels)
    memory = _peak_memory()
    plain, expected = _time(propagate_plainly, features, labels)
    difference = np.abs(found - expected).max()
    rows.append((width, ours, plain, first - ours, memory, difference))
  print(f'{jax.devices()[0].device_kind}, {_FRAMES.value} frames of {_GRID}')
  print('    D  plain s/frame  ours s/frame  ratio  compile s  peak GiB differ')
  for width, ours, plain, compiling, memory, difference in rows:
    ours, plain = ours / _FRAMES.value, plain / _FRAMES.value
    print(
        f'{width:5d}{plain:15.3f}{ours:14.3f}{plain / ours:7.1f}'
        f'{compiling:11.1f}{memory:10.2f}{difference:7.0e}'
    )


if __name__ == '__main__':
  app.run(main)
