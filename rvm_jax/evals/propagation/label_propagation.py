"""Propagates labels of the first frame to all frames by feature similarity.

The protocol is the one that DAVIS, VIP and JHMDB share in the released
evaluation: the evaluation notebook of github.com/google-deepmind/
representations4d, cells 11 to 25. It predicts the labels of all frames of a
video, including the first, one frame after the other:

  1. The context of a frame is the first frame with its given labels, and a
     queue of the last `num_context` frames with their predicted labels. Before
     the first prediction, the queue is full of copies of the first frame.
  2. The affinity of two patches is the dot product of their features, divided
     by `temperature`.
  3. For each patch of the frame, the `top_k` patches of highest affinity are
     chosen from all patches of the first frame, and from those patches of the
     queue whose distance in the grid is below `radius`.
  4. The patch gets the weighted mean of the labels of these patches. The
     weights are the softmax over their `top_k` affinities.
  5. The frame and its predicted soft labels replace the oldest frame and its
     labels in the queue.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.evals.propagation import context

# Number of frames that one call of the compiled program predicts.
_CHUNK = 4
# The number of label channels is padded to a multiple of this.
_LABELS = 4


def normalize(features):
  """Scales feature vectors to unit length, as the released evaluation does.

  Args:
    features: float np.ndarray [..., D], feature vectors.

  Returns:
    np.ndarray [..., D]. Zero vectors stay zero.
  """
  norm = np.linalg.norm(features, axis=-1, keepdims=True)
  return features / np.maximum(norm, 1e-12)


def center(features):
  """Subtracts the mean of each frame, then scales vectors to unit length.

  The mean is the same for all patches of a frame, so that it does not tell them
  apart, but it changes their affinities. It differs between frames, most of all
  in the first frames of a recurrent model, whose state begins at zero.

  Args:
    features: float np.ndarray [..., h, w, D], features of frames.

  Returns:
    np.ndarray [..., h, w, D]. A vector that equals the mean becomes zero.
  """
  return normalize(features - features.mean((-3, -2), keepdims=True))


def propagate(
    features,
    labels,
    *,
    num_context=20,
    temperature=0.7,
    top_k=7,
    radius=20,
    center_frames=False,
):
  """Propagates the labels of the first frame to all frames of a video.

  Of patches with equal affinity, the first in the order of the context is
  chosen: the first frame precedes the queue, older frames of the queue precede
  newer ones, and the patches of a frame are in raster order. (In the released
  evaluation this order depends on the backend.)

  Apart from `features` and the result, memory does not grow with T. If
  `features` is an np.ndarray, only a few frames at a time are on the device.

  Args:
    features: float array [T, h, w, D], a vector for each patch of each frame.
      It is used as it is; the protocol asks for vectors of unit length, which
      `normalize` returns.
    labels: float array [h, w, L] in [0, 1], soft labels of the first frame in L
      channels, such as one for each object.
    num_context: number of frames in the queue, at least 1.
    temperature: positive number that affinities are divided by.
    top_k: number of patches whose labels are averaged, at least 1 and at most
      the number of patches in the context, (1 + num_context) * h * w.
    radius: a patch of the queue can be chosen only if its Euclidean distance in
      the patch grid to the predicted patch, in patches, is strictly smaller
      than this. At 0, only the first frame is searched. If fewer than `top_k`
      patches can be chosen, patches outside the radius fill up the number and
      get the weight 0.
    center_frames: whether `center` is applied to the features of each frame
      first. The released evaluation does not centre them.

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

  # Pad the labels with empty channels to a multiple of four, and the last chunk
  # with frames of zeros, so that few programs are compiled for videos of
  # different lengths and numbers of labels. Padding does not change the result.
  labels = jnp.asarray(labels, jnp.float32)
  labels = jnp.pad(labels, ((0, 0), (0, 0), (0, -num_labels % _LABELS)))
  prepare = center if center_frames else np.asarray
  first = jnp.asarray(prepare(features[0]), jnp.float32)
  state = begin(first, labels, settings)
  predictions = []
  for start in range(0, num_frames, _CHUNK):
    frames = prepare(features[start : start + _CHUNK])
    frames = jnp.asarray(frames, jnp.float32)
    padding = _CHUNK - len(frames)
    frames = jnp.pad(frames, ((0, padding), (0, 0), (0, 0), (0, 0)))
    state, prediction = advance(state, first, labels, frames, start, settings)
    predictions.append(prediction)
  return jnp.concatenate(predictions)[:num_frames, ..., :num_labels]


def begin(first, labels, settings):
  """Returns the state before the first frame, to pass to `advance`.

  Args:
    first: float32 [h, w, D], the features of the first frame.
    labels: float32 [h, w, L], the given labels of the first frame, in L
      channels.
    settings: settings of the search, a `context.Settings`.

  Returns:
    The queue of features, as returned by `context.start`, and the soft labels
    of the frames in its slots, float32 [num_context, h, w, L].
  """
  queue = context.start(first, settings)
  return queue, jnp.repeat(labels[None], settings.num_context, 0)


@functools.partial(jax.jit, static_argnums=5, donate_argnums=0)
def advance(state, first, labels, features, start, settings):
  """Predicts the labels of a few frames, one after the other.

  Args:
    state: the state that `begin` or the previous call returned. It cannot be
      used afterwards, because its memory is reused for the new state.
    first: float32 [h, w, D], the features of the first frame.
    labels: float32 [h, w, L], the given labels of the first frame.
    features: float32 [t, h, w, D], the features of the frames to predict.
    start: int [], the number of the first of these frames in the video, from 0.
    settings: settings of the search.

  Returns:
    The state after these frames, and their predictions, float32 [t, h, w, L].
  """

  def step(state, inputs):
    queue, queue_labels = state
    frame, queries = inputs  # [], [h, w, D]

    # Find the k most similar patches of the context, and average their labels.
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

    # Store the frame and its prediction in the place of the oldest frame.
    queue = context.push(queue, queries, frame, settings)
    oldest = frame % settings.num_context
    return (queue, queue_labels.at[oldest].set(prediction)), prediction

  return jax.lax.scan(
      step, state, (start + jnp.arange(len(features)), features)
  )
