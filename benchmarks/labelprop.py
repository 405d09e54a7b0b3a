"""Label propagation against the plain algorithm in numpy, at DAVIS size.

  python benchmarks/labelprop.py

Both see the same random unit features: 30 x 55 patches, first frame and queue
of 20, top-7, radius 20. The plain algorithm computes all affinities of a frame
as one matrix (BLAS), masks it, and takes the best by np.argpartition. A frame
costs both the same whatever the features are and wherever it is in the video.
The plain algorithm runs last, so that the peak memory before it is ours.
"""

import collections
import resource
import time

from absl import app
from absl import flags
import jax
import numpy as np

from rvm_jax.evals.propagation import label_propagation

_FRAMES = flags.DEFINE_integer('frames', 4, 'Frames a run.', lower_bound=1)
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Runs; the fastest counts.')
_WIDTHS = flags.DEFINE_multi_integer('width', [768], 'D; may be repeated.')
_GRID = (30, 55)
_NUM_LABELS = 4
_CONTEXT, _TEMPERATURE, _TOP_K, _RADIUS = 20, 0.7, 7, 20


def propagate_plainly(features, labels):
  """The protocol, frame by frame, with the full matrix of affinities."""
  _, height, width, size = features.shape
  patches = height * width
  at = np.stack(np.mgrid[:height, :width], -1).reshape(patches, 2)
  distance = np.square(at[:, None] - at[None]).sum(-1)
  mask = np.where(distance < _RADIUS**2, 0, -1e10).astype(np.float32)
  first = features[0].reshape(patches, size), labels.reshape(patches, -1)
  queue = collections.deque([first] * _CONTEXT, _CONTEXT)
  result = []
  for frame in features:
    frame = frame.reshape(patches, size)
    context, votes = (np.concatenate(x) for x in zip(first, *queue))
    affinity = frame @ context.T
    affinity /= np.float32(_TEMPERATURE)
    affinity.reshape(patches, -1, patches)[:, 1:] += mask[:, None]
    best = np.argpartition(affinity, -_TOP_K, axis=1)[:, -_TOP_K:]
    values = np.take_along_axis(affinity, best, 1)
    weights = np.exp(values - values.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    predicted = np.einsum('qk,qkl->ql', weights, votes[best])
    result.append(predicted.reshape(labels.shape))
    queue.append((frame, predicted))
  return np.stack(result)


def _fastest(function, *args):
  seconds = []
  for _ in range(_ROUNDS.value):
    start = time.perf_counter()
    result = np.asarray(function(*args))
    seconds.append(time.perf_counter() - start)
  return min(seconds), result


def _peak_memory():
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(_):
  rng = np.random.default_rng(0)
  labels = rng.random((*_GRID, _NUM_LABELS), np.float32)
  rows = []
  for width in _WIDTHS.value:
    features = rng.normal(size=(_FRAMES.value, *_GRID, width))
    features = label_propagation.normalize(features.astype(np.float32))
    start = time.perf_counter()
    np.asarray(label_propagation.propagate(features, labels))
    first = time.perf_counter() - start
    ours, found = _fastest(label_propagation.propagate, features, labels)
    memory = _peak_memory()
    plain, expected = _fastest(propagate_plainly, features, labels)
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
