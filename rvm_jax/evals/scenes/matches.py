"""Where things of one frame are in others, by similarity of features.

Features are compared by their cosine, as label propagation does. Nothing is
learned here.
"""

import jax
import jax.numpy as jnp
import numpy as np

_TEMPERATURES = 0.1, 0.03  # Of a thing that is looked for.
_NEARNESS = 30.0  # A place half a frame away is e^-7.5 times as likely.
_LAGS = 1, 3, 5, 7  # Frames from which to which patches are followed.
_LAG_TEMPERATURE = 0.05
_POOL = 4  # Rows and columns that motion is averaged over.


@jax.jit
def find(features: jax.Array, queries: jax.Array) -> jax.Array:
  """Looks in all frames for mixtures of the patches of frame 0.

  Args:
    features: float [B, T, h, w, C].
    queries: float [B, Q, h * w], shares of the patches.

  Returns:
    float32 [B, Q, T, 14]. For each of two temperatures: by how much a thing is
    off its first place (x, y), in sides of the frame, the variances of that,
    and how like the likely places are (cosine). Then, of that likeness, the
    highest, mean and deviation over the frame, and that of the first place.
  """
  grid = features.shape[2:4]
  x = _normalize(features)
  wanted = jnp.einsum('bqn,bnc->bqc', queries, x[:, 0])
  similarity = _compare('bqc,btnc->bqtn', _unit(wanted), x)
  centers = _centers(grid)
  off = centers[None, None] - (queries @ centers)[:, :, None]  # [B, Q, N, 2]
  cues = []
  for temperature in _TEMPERATURES:
    weights = _choose(similarity, off[:, :, None], temperature)
    mean = jnp.einsum('bqtn,bqnd->bqtd', weights, off)
    square = jnp.einsum('bqtn,bqnd->bqtd', weights, jnp.square(off))
    likely = (weights * similarity).sum(-1, keepdims=True)
    cues += [mean, square - jnp.square(mean), likely]
  still = jnp.einsum('bqtn,bqn->bqt', similarity, queries)
  over = [similarity.max(-1), similarity.mean(-1), similarity.std(-1), still]
  return jnp.concatenate([*cues, jnp.stack(over, -1)], -1)


@jax.jit
def follow(features: jax.Array) -> jax.Array:
  """Where patches went within 1, 3, 5 and 7 frames, averaged over a 4 x 4 grid.

  Args:
    features: float [B, T, h, w, C].

  Returns:
    float32 [B, F], in sides of the frame: for each number of frames the mean
    over time and the trend (later minus sooner).
  """
  batch, num_frames, *_ = features.shape
  grid = features.shape[2:4]
  x = _normalize(features)
  centers = _centers(grid)
  off = (centers[None] - centers[:, None])[None, None]  # [1, 1, N, N, 2]
  found = []
  for lag in _LAGS:
    if lag >= num_frames:
      break
    similarity = _compare('btqc,btnc->btqn', x[:, :-lag], x[:, lag:])
    weights = _choose(similarity, off, _LAG_TEMPERATURE)
    moves = jnp.einsum('btqn,qnd->btqd', weights, off[0, 0])
    moves = jax.image.resize(
        moves.reshape(batch, -1, *grid, 2),
        (batch, num_frames - lag, _POOL, _POOL, 2),
        'linear',
    ).reshape(batch, num_frames - lag, -1)
    found.append(moves.mean(1))
    if lag < num_frames - 1:
      trend = np.linspace(-1, 1, num_frames - lag, dtype=np.float32)
      found.append((moves * trend[None, :, None]).mean(1))
  return jnp.concatenate(found, -1)


def share_points(places: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
  """How points mix the patches around them, bilinearly.

  Args:
    places: float [..., 2], (x, y) as shares of the frame.
    grid: h and w.

  Returns:
    float32 [..., h * w], of sum 1.
  """
  near = []
  for axis, count in zip((1, 0), grid):
    at = np.clip(places[..., axis, None] * count - 0.5, 0, count - 1)
    near.append(np.maximum(0, 1 - np.abs(at - np.arange(count))))
  return _cross(*near)


def share_boxes(boxes: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
  """How much of a box is on each patch.

  Args:
    boxes: float [..., 4], (x0, y0, x1, y1) as shares of the frame.
    grid: h and w.

  Returns:
    float32 [..., h * w], of sum 1, or all 0 for a box outside the frame.
  """
  cover = []
  for axis, count in zip((1, 0), grid):
    low = np.arange(count) / count
    first, last = boxes[..., axis, None], boxes[..., 2 + axis, None]
    shared = np.minimum(last, low + 1 / count) - np.maximum(first, low)
    cover.append(np.maximum(0, shared))
  both = _cross(*cover)
  return both / np.maximum(both.sum(-1, keepdims=True), 1e-9)


def _cross(rows, columns):
  both = rows[..., :, None] * columns[..., None, :]
  return both.reshape(*both.shape[:-2], -1).astype(np.float32)


def _normalize(features):
  """Unit vectors [B, T, N, C]."""
  batch, num_frames, height, width, channels = features.shape
  return _unit(
      features.astype(jnp.float32).reshape(
          batch, num_frames, height * width, channels
      )
  )


def _unit(x):
  return x / jnp.sqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)


def _compare(subscripts, *features):
  # By default products are less than float32 on GPUs and TPUs.
  return jnp.einsum(subscripts, *features, precision='highest')


def _choose(similarity, off, temperature):
  """How likely each patch is, near ones more."""
  far = jnp.square(off).sum(-1)
  return jax.nn.softmax(similarity / temperature - _NEARNESS * far)


def _centers(grid):
  rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
  at = np.stack([columns / grid[1], rows / grid[0]], 1)
  return (at + 0.5 / np.array(grid[::-1])).astype(np.float32)
