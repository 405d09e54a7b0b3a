"""Finds parts of one frame in other frames by the similarity of features.

Features are compared by their cosine, as in label propagation. Nothing is
learned here: `readouts` fits regressions to the results.

Places and displacements are (x, y) as shares of the frame's width and height.
The N = h * w patches of a frame are in raster order.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Temperatures of the softmax over the patches of a frame in `find`.
_TEMPERATURES = 0.1, 0.03
# Weight of the squared displacement in each softmax over patches. A patch that
# is half a frame away gets e^-7.5 of the weight of one that is as similar and
# has not moved.
_NEARNESS = 30.0
# `follow` compares frames that are this many frames apart.
_LAGS = 1, 3, 5, 7
# Temperature of the softmax over the patches of a frame in `follow`.
_LAG_TEMPERATURE = 0.05
# `follow` averages displacements over this many rows and columns of parts.
_POOL = 4


@jax.jit
def find(features: jax.Array, queries: jax.Array) -> jax.Array:
  """Searches all frames for the patches that resemble a query.

  A query is a part of frame 0, such as a box, given by how much of it is on
  each patch. Its feature is the mean of the features of the patches, and its
  place is the mean of their centres, both weighted by these shares.

  In each frame, a softmax gives a weight to every patch. The weight is larger
  the more similar a patch is to the query and the nearer it is to the query's
  place in frame 0.

  Args:
    features: float [B, T, h, w, D].
    queries: float [B, Q, N], shares of the patches of frame 0 in each of Q
      queries.

  Returns:
    float32 [B, Q, T, 14], for each query and frame:
    0 to 4: with the first temperature of the softmax, the weighted means of the
    displacement (x, y) from the query's place in frame 0, the variance of the
    displacement (x, y), and the weighted mean of the cosine similarity.
    5 to 9: the five numbers with the second temperature.
    10 to 12: the maximum, the mean and the standard deviation of the similarity
    over all patches of the frame.
    13: the mean similarity of the patches at the query's place in frame 0.
  """
  grid = features.shape[2:4]
  x = _normalize(features)  # [B, T, N, D]

  # Cosine similarity of each query to each patch of each frame.
  wanted = jnp.einsum('bqn,bnc->bqc', queries, x[:, 0])
  similarity = _compare('bqc,btnc->bqtn', _to_unit(wanted), x)

  # Displacements of all patches from each query's place.
  centers = _list_centers(grid)
  moves = centers[None, None] - (queries @ centers)[:, :, None]  # [B, Q, N, 2]

  # Moments of displacement and similarity under the weights of the softmax.
  cues = []
  for temperature in _TEMPERATURES:
    weights = _choose(similarity, moves[:, :, None], temperature)
    mean = jnp.einsum('bqtn,bqnd->bqtd', weights, moves)
    square = jnp.einsum('bqtn,bqnd->bqtd', weights, jnp.square(moves))
    resemblance = (weights * similarity).sum(-1, keepdims=True)
    cues += [mean, square - jnp.square(mean), resemblance]

  # Similarity over the whole frame, and at the query's place in frame 0.
  still = jnp.einsum('bqtn,bqn->bqt', similarity, queries)
  over = [similarity.max(-1), similarity.mean(-1), similarity.std(-1), still]
  return jnp.concatenate([*cues, jnp.stack(over, -1)], -1)


@jax.jit
def follow(features: jax.Array) -> jax.Array:
  """Computes how far patches move within 1, 3, 5 and 7 frames.

  The displacement of a patch is averaged over the patches of the later frame
  with the weights of a softmax, as in `find`. Displacements are then averaged
  over a grid of 4 x 4 parts of the frame.

  Args:
    features: float [B, T, h, w, D].

  Returns:
    float32 [B, F], the mean displacements (x, y) of the 4 x 4 parts, 32 numbers
    at a time. For each lag (1, 3, 5 or 7 frames) below T there are the mean
    over all pairs of frames that are so far apart, and the trend: the mean
    after multiplication with weights that rise from -1 for the first pair to 1
    for the last. A lag with one pair of frames alone has no trend.
  """
  batch, num_frames, *_ = features.shape
  grid = features.shape[2:4]
  x = _normalize(features)
  centers = _list_centers(grid)
  moves = (centers[None] - centers[:, None])[None, None]  # [1, 1, N, N, 2]
  cues = []
  for lag in _LAGS:
    if lag >= num_frames:
      break
    num_pairs = num_frames - lag
    # Mean displacement of each patch [B, num_pairs, N, 2] within `lag` frames.
    similarity = _compare('btqc,btnc->btqn', x[:, :-lag], x[:, lag:])
    weights = _choose(similarity, moves, _LAG_TEMPERATURE)
    flow = jnp.einsum('btqn,qnd->btqd', weights, moves[0, 0])
    # Average it over the parts of the frame: [B, num_pairs, 4 * 4 * 2].
    flow = jax.image.resize(
        flow.reshape(batch, -1, *grid, 2),
        (batch, num_pairs, _POOL, _POOL, 2),
        'linear',
    ).reshape(batch, num_pairs, -1)
    cues.append(flow.mean(1))
    if num_pairs > 1:
      trend = np.linspace(-1, 1, num_pairs, dtype=np.float32)
      cues.append((flow * trend[None, :, None]).mean(1))
  return jnp.concatenate(cues, -1)


def share_points(places: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
  """Computes the shares of the patches around points, bilinearly.

  Args:
    places: float [..., 2], (x, y) as shares of the frame. Points outside the
      centres of the outermost patches are moved to the nearest centre.
    grid: h and w, the rows and columns of patches.

  Returns:
    float32 [..., N], shares that sum to 1, as queries of `find`.
  """
  shares = []
  for axis, count in zip((1, 0), grid):
    # Place of the point in units of patches; the first patch's centre is at 0.
    at = np.clip(places[..., axis, None] * count - 0.5, 0, count - 1)
    shares.append(np.maximum(0, 1 - np.abs(at - np.arange(count))))
  return _cross(*shares)


def share_boxes(boxes: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
  """Computes which share of the area of a box is on each patch.

  Args:
    boxes: float [..., 4], (x0, y0, x1, y1) as shares of the frame.
    grid: h and w, the rows and columns of patches.

  Returns:
    float32 [..., N], shares that sum to 1, as queries of `find`. All are 0 for
    a box that has no area in the frame.
  """
  overlaps = []
  for axis, count in zip((1, 0), grid):
    low = np.arange(count) / count
    first, last = boxes[..., axis, None], boxes[..., 2 + axis, None]
    overlap = np.minimum(last, low + 1 / count) - np.maximum(first, low)
    overlaps.append(np.maximum(0, overlap))
  both = _cross(*overlaps)
  return both / np.maximum(both.sum(-1, keepdims=True), 1e-9)


def _cross(rows, columns):
  """Returns the outer product of [..., h] and [..., w], float32 [..., N]."""
  both = rows[..., :, None] * columns[..., None, :]
  return both.reshape(*both.shape[:-2], -1).astype(np.float32)


def _normalize(features):
  """Turns features [B, T, h, w, D] into unit vectors, float32 [B, T, N, D]."""
  batch, num_frames, height, width, channels = features.shape
  return _to_unit(
      features.astype(jnp.float32).reshape(
          batch, num_frames, height * width, channels
      )
  )


def _to_unit(x):
  return x / jnp.sqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)


def _compare(subscripts, *features):
  # On GPUs and TPUs the default precision of products is below float32.
  return jnp.einsum(subscripts, *features, precision='highest')


def _choose(similarity, moves, temperature):
  """Returns weights of patches, larger for similar and near ones, [..., N].

  Args:
    similarity: cosine similarity of each patch to what is searched, [..., N].
    moves: displacement of each patch from the place to search from, [..., N,
      2], with axes that broadcast to those of `similarity`.
    temperature: temperature of the softmax over patches.
  """
  distance = jnp.square(moves).sum(-1)
  return jax.nn.softmax(similarity / temperature - _NEARNESS * distance)


def _list_centers(grid):
  """Returns the centres (x, y) of all patches, float32 [N, 2], as shares."""
  rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
  corners = np.stack([columns / grid[1], rows / grid[0]], 1)
  return (corners + 0.5 / np.array(grid[::-1])).astype(np.float32)
