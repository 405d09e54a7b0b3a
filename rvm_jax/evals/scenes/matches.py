"""Finds what one frame shows in other frames, by similarity of features.

Features are compared by their cosine, as in label propagation. Nothing is
learned here: `readouts` learns what to make of the results.

Places are (x, y) as shares of the frame's width and height. The N = h * w
patches of a frame are in raster order.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Temperatures of the softmax over the patches of a frame in `find`.
_TEMPERATURES = 0.1, 0.03
# Weight of the squared distance in that softmax: a patch half a frame away is
# e^-7.5 times as likely as an equally similar one at the old place.
_NEARNESS = 30.0
# `follow` compares frames that are so many frames apart, and averages motion
# over a grid of so many rows and columns.
_LAGS = 1, 3, 5, 7
_LAG_TEMPERATURE = 0.05
_POOL = 4


@jax.jit
def find(features: jax.Array, queries: jax.Array) -> jax.Array:
  """Looks in all frames for mixtures of the patches of frame 0.

  A query is such a mixture, for instance of the patches that a box covers. Its
  place is the mean place of these patches.

  Args:
    features: float [B, T, h, w, D].
    queries: float [B, Q, N], each query's shares of the patches of frame 0.

  Returns:
    float32 [B, Q, T, 14]. For each of two temperatures, under a softmax over
    the patches of the frame: the expected displacement (x, y) from the query's
    place in frame 0, the variance of it (x, y), and the expected cosine
    similarity. Then the highest similarity in the frame, its mean, its standard
    deviation, and the similarity at the query's place in frame 0.
  """
  grid = features.shape[2:4]
  x = _normalize(features)  # [B, T, N, D]

  # Cosine similarity of each query to each patch of each frame.
  wanted = jnp.einsum('bqn,bnc->bqc', queries, x[:, 0])
  similarity = _compare('bqc,btnc->bqtn', _to_unit(wanted), x)

  # Displacements of all patches from each query's place.
  centers = _list_centers(grid)
  moves = centers[None, None] - (queries @ centers)[:, :, None]  # [B, Q, N, 2]

  # Moments of displacement and similarity over the likely patches.
  cues = []
  for temperature in _TEMPERATURES:
    weights = _choose(similarity, moves[:, :, None], temperature)
    mean = jnp.einsum('bqtn,bqnd->bqtd', weights, moves)
    square = jnp.einsum('bqtn,bqnd->bqtd', weights, jnp.square(moves))
    likely = (weights * similarity).sum(-1, keepdims=True)
    cues += [mean, square - jnp.square(mean), likely]

  # Similarity over the whole frame, and where the query was at first.
  still = jnp.einsum('bqtn,bqn->bqt', similarity, queries)
  over = [similarity.max(-1), similarity.mean(-1), similarity.std(-1), still]
  return jnp.concatenate([*cues, jnp.stack(over, -1)], -1)


@jax.jit
def follow(features: jax.Array) -> jax.Array:
  """Computes where patches went within 1, 3, 5 and 7 frames.

  Displacements are averaged over a grid of 4 x 4 parts of the frame.

  Args:
    features: float [B, T, h, w, D].

  Returns:
    float32 [B, F], displacements (x, y) as shares of the frame. For each lag
    below T: their mean over time, and their trend, the mean with weights from
    -1 for the first to 1 for the last. The lag T - 1 has no trend, because
    there is one pair of frames only.
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
    # Expected displacement of each patch to the frame `lag` later.
    similarity = _compare('btqc,btnc->btqn', x[:, :-lag], x[:, lag:])
    weights = _choose(similarity, moves, _LAG_TEMPERATURE)
    flow = jnp.einsum('btqn,qnd->btqd', weights, moves[0, 0])
    # Averaged over parts of the frame: [B, num_pairs, 4 * 4 * 2].
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
  """Computes how points mix the patches around them, bilinearly.

  Args:
    places: float [..., 2], (x, y) as shares of the frame. Points outside the
      centres of the outermost patches are taken to the nearest of them.
    grid: h and w.

  Returns:
    float32 [..., N], shares that sum to 1.
  """
  shares = []
  for axis, count in zip((1, 0), grid):
    # In units of patches, 0 at the first centre.
    at = np.clip(places[..., axis, None] * count - 0.5, 0, count - 1)
    shares.append(np.maximum(0, 1 - np.abs(at - np.arange(count))))
  return _cross(*shares)


def share_boxes(boxes: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
  """Computes how much of a box is on each patch.

  Args:
    boxes: float [..., 4], (x0, y0, x1, y1) as shares of the frame.
    grid: h and w.

  Returns:
    float32 [..., N], shares that sum to 1, or 0 for a box outside the frame.
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
  """Multiplies [..., h] with [..., w] to float32 [..., N]."""
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
  # By default products are less precise than float32 on GPUs and TPUs.
  return jnp.einsum(subscripts, *features, precision='highest')


def _choose(similarity, moves, temperature):
  """Returns how likely each patch is, near ones more: weights [..., N]."""
  distance = jnp.square(moves).sum(-1)
  return jax.nn.softmax(similarity / temperature - _NEARNESS * distance)


def _list_centers(grid):
  """Centres of all patches, (x, y) as shares of the frame: float32 [N, 2]."""
  rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
  corners = np.stack([columns / grid[1], rows / grid[0]], 1)
  return (corners + 0.5 / np.array(grid[::-1])).astype(np.float32)
