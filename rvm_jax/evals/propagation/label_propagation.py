"""Label propagation: labels of the first frame, spread by feature similarity.

The protocol is the one that DAVIS, VIP and JHMDB share in the released
evaluation: the evaluation notebook of github.com/google-deepmind/
representations4d, cells 11 to 25. It predicts the frames of a video one after
the other, the first one included:

  1. The context of a frame is the first frame with its given labels, and a
     queue of the last `num_context` frames with their predicted labels. Before
     the first prediction, the queue is full of copies of the first frame.
  2. The affinity of two patches is the dot product of their features, divided
     by `temperature`.
  3. For each patch of the frame, the `top_k` patches of highest affinity are
     chosen from all patches of the first frame, and from those patches of the
     queue whose distance in the grid is below `radius`.
  4. The patch gets the mean of their labels, weighted by the softmax over the
     `top_k` affinities alone.
  5. The frame and its prediction, which stays soft, replace the oldest frame in
     the queue.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.evals.propagation import context

# Number of frames in one call of the compiled program.
_CHUNK = 4
# The number of label channels is padded to a multiple of this.
_LABELS = 4


def normalize(features):
  """Scales features to unit length, as the released evaluation does.

  Args:
    features: float np.ndarray [..., D].

  Returns:
    np.ndarray [..., D]. A zero vector stays zero.
  """
  norm = np.linalg.norm(features, axis=-1, keepdims=True)
  return features / np.maximum(norm, 1e-12)


def propagate(
    features, labels, *, num_context=20, temperature=0.7, top_k=7, radius=20
):
  """Propagates the labels of the first frame to all frames of a video.

  Among patches of equal affinity, the first in the context is chosen first: the
  first frame comes before the queue, older frames of the queue come before
  newer ones, and patches of a frame are in raster order. (In the released
  evaluation this order depends on the backend.)

  Apart from `features` and the result, the memory in use does not grow with T.
  If `features` is an np.ndarray, only a few frames at a time are on the device.

  Args:
    features: float array [T, h, w, D], a vector for each patch. They are not
      scaled to unit length here; the released evaluation does that before, see
      `normalize`.
    labels: float array [h, w, L] in [0, 1], soft labels of the first frame.
    num_context: number of frames in the queue, at least 1.
    temperature: positive number that affinities are divided by.
    top_k: number of patches whose labels are averaged, at least 1 and at most
      the number of patches in the context, (1 + num_context) * h * w.
    radius: patches of the queue count if their Euclidean distance to the patch
      that is predicted, in patches, is strictly smaller than this. At 0, only
      the first frame is searched.

  Returns:
    float32 jax.Array [T, h, w, L], the predicted labels of all frames. Those of
    the first frame are predicted too, and may differ from `labels`.

  Raises:
    ValueError: shapes do not match, or a setting is out of range.
  """
  if features.ndim != 4 or labels.shape[:2] != features.shape[1:3]:
    raise ValueError(
        'features and labels must be [T, h, w, D] and [h, w, L] with one grid,'
        f' got {features.shape} and {labels.shape}'
    )
  if num_context < 1:
    raise ValueError(f'num_context must be at least 1, got {num_context}')
  if not temperature > 0:
    raise ValueError(f'temperature must be positive, got {temperature}')
  candidates = (1 + num_context) * labels.shape[0] * labels.shape[1]
  if not 1 <= top_k <= candidates:
    raise ValueError(
        f'top_k must lie in 1..{candidates}, the patches in the context, got'
        f' {top_k}'
    )
  settings = context.Settings(
      num_context, float(temperature), top_k, float(radius)
  )
  num_frames, num_labels = len(features), labels.shape[-1]

  # Padding with empty label channels and empty last frames does not change the
  # result, so that one compiled program serves videos of any length and almost
  # any number of labels.
  labels = jnp.asarray(labels, jnp.float32)
  labels = jnp.pad(labels, ((0, 0), (0, 0), (0, -num_labels % _LABELS)))
  first = jnp.asarray(features[0], jnp.float32)
  queue = context.start(first, settings)
  queue_labels = jnp.repeat(labels[None], num_context, 0)  # [C, h, w, L]
  predictions = []
  for start in range(0, num_frames, _CHUNK):
    frames = jnp.asarray(features[start : start + _CHUNK], jnp.float32)
    padding = _CHUNK - len(frames)
    frames = jnp.pad(frames, ((0, padding), (0, 0), (0, 0), (0, 0)))
    (queue, queue_labels), prediction = _propagate_chunk(
        (queue, queue_labels), first, labels, frames, start, settings
    )
    predictions.append(prediction)
  return jnp.concatenate(predictions)[:num_frames, ..., :num_labels]


@functools.partial(jax.jit, static_argnums=5, donate_argnums=0)
def _propagate_chunk(state, first, labels, features, start, settings):
  """Predicts the labels of a few frames, one after the other.

  Args:
    state: the queue of features, as returned by `context.start`, and the soft
      labels in its slots, float32 [num_context, h, w, L].
    first: float32 [h, w, D], the features of the first frame.
    labels: float32 [h, w, L], the given labels of the first frame.
    features: float32 [t, h, w, D], the features of the frames to predict.
    start: the number of the first of these frames, int [].
    settings: settings of the search.

  Returns:
    The state after these frames, and their predictions, float32 [t, h, w, L].
  """

  def step(state, inputs):
    queue, queue_labels = state
    frame, queries = inputs  # [], [h, w, D]
    affinities, indices = context.search(
        first, queue, queries, frame, settings
    )  # [h, w, k]
    weights = jax.nn.softmax(affinities, -1)
    context_labels = jnp.concatenate([labels[None], queue_labels])
    context_labels = context_labels.reshape(-1, labels.shape[-1])
    votes = context_labels[indices]  # [h, w, k, L]
    prediction = jnp.einsum(
        'hwk,hwkl->hwl', weights, votes, precision='highest'
    )
    queue = context.push(queue, queries, frame, settings)
    oldest = frame % settings.num_context
    return (queue, queue_labels.at[oldest].set(prediction)), prediction

  return jax.lax.scan(
      step, state, (start + jnp.arange(len(features)), features)
  )
