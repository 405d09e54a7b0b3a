"""Label propagation: first-frame labels carried on by feature similarity.

The protocol of the released RVM evaluation. Every patch of a frame takes the
softmax-weighted mean of the labels of its `top_k` most similar patches in the
context: the first frame, searched everywhere, and a queue of the last
`num_context` frames, searched within `radius`. The queue starts as copies of
the first frame; each frame's soft prediction joins it, the first one's too.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

_MASKED = -1e10
_TILE = (16, 8)  # at most so many rows and columns of a context frame at once
_CHUNK = 4  # frames in one call of the compiled program
_LABELS = 4  # labels come in multiples of so many


def normalize(features):
  """Scales float [..., D] features to unit length, as `propagate` expects."""
  norm = np.linalg.norm(features, axis=-1, keepdims=True)
  return features / np.maximum(norm, 1e-12)


def propagate(
    features, labels, *, num_context=20, temperature=0.7, top_k=7, radius=20
):
  """Carries the labels of the first frame on to all frames.

  Among equal affinities the lowest index in the flattened context (frame, row,
  column; the first frame, then the queue, oldest first) wins. Memory beyond
  features and result does not grow with T, and np.ndarrays stay on the host but
  for a few frames.

  Args:
    features: float [T, h, w, D], one row a patch, used as given; see
      `normalize`.
    labels: float [h, w, L] in [0, 1], soft labels of the first frame.
    num_context: frames in the queue, besides the first frame.
    temperature: divides the affinities before the softmax.
    top_k: patches that vote; the softmax is over them alone.
    radius: in patches; queue frames count where the Euclidean distance is
      strictly smaller.

  Returns:
    float32 jax.Array [T, h, w, L], the first frame's own prediction included.

  Raises:
    ValueError: on shapes that do not fit or counts out of range.
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
  static = num_context, float(temperature), top_k, float(radius)
  num_frames, num_labels = len(features), labels.shape[-1]
  # Labels that nothing has and frames after the last change nothing: there is
  # one program to compile for videos of any length and almost any labels.
  labels = jnp.asarray(labels, jnp.float32)
  labels = jnp.pad(labels, ((0, 0), (0, 0), (0, -num_labels % _LABELS)))
  first = jnp.asarray(features[0], jnp.float32)
  queue = _start(first, labels, num_context, radius)
  result = []
  for start in range(0, num_frames, _CHUNK):
    frames = jnp.asarray(features[start : start + _CHUNK], jnp.float32)
    fill = _CHUNK - len(frames)
    frames = jnp.pad(frames, ((0, fill), (0, 0), (0, 0), (0, 0)))
    queue, predicted = _propagate(queue, first, labels, frames, start, *static)
    result.append(predicted)
  return jnp.concatenate(result)[:num_frames, ..., :num_labels]


def _start(first, labels, num_context, radius):
  """The queue before the first frame, copies of it, and their labels."""
  copies = lambda x: jnp.repeat(x[None], num_context, 0)
  return (
      tuple(copies(first[t[:2]]) for t in _tiles(*labels.shape[:2], radius)),
      copies(labels),
  )


def _tiles(height, width, radius):
  """Rows and columns of each tile, and of the patches within its reach."""
  reach = int(np.ceil(radius)) - 1
  return [
      (
          rows,
          columns,
          _window(rows, reach, height),
          _window(columns, reach, width),
      )
      for rows in _spans(height, _TILE[0])
      for columns in _spans(width, _TILE[1])
  ]


@functools.partial(jax.jit, static_argnums=(5, 6, 7, 8), donate_argnums=0)
def _propagate(
    carry,
    first_features,
    labels,
    features,
    start,
    num_context,
    temperature,
    top_k,
    radius,
):
  """Carries labels through frames [t, h, w, D], the first of them `start`."""
  height, width = labels.shape[:2]
  tiles = _tiles(height, width, radius)

  def step(carry, inputs):
    queue, queue_labels = carry  # per tile [C, th, tw, D]; [C, h, w, L]
    frame, features_t = inputs
    slots = jnp.arange(num_context)
    # Copies of the first frame tie bit for bit with the first frame only where
    # they share one product.
    is_first = (slots >= frame) | ((slots == 0) & (frame <= num_context))
    first = _affinity(first_features, features_t) / temperature  # [h, w, h, w]
    values, indices = jax.lax.top_k(
        first.reshape(height * width, -1).T, min(top_k, height * width)
    )
    found = [
        (values.reshape(height, width, -1), indices.reshape(height, width, -1))
    ]
    for tile, (rows, columns, near_rows, near_columns) in zip(queue, tiles):
      found.append(
          _search_tile(
              tile,
              features_t[near_rows, near_columns],
              first[rows, columns, near_rows, near_columns],
              is_first,
              frame,
              (rows.start, columns.start),
              (near_rows.start, near_columns.start),
              (height, width),
              temperature,
              top_k,
              radius,
          )
      )
    windows = [(slice(0, height), slice(0, width))] + [t[2:] for t in tiles]
    values, indices = _merge(found, windows, (height, width), top_k)
    weights = jax.nn.softmax(values, -1)  # [h, w, k]
    # Queue positions to ring slots: the oldest frame is in slot frame % C.
    position, patch = jnp.divmod(indices, height * width)
    slot = jnp.where(position == 0, 0, 1 + (position - 1 + frame) % num_context)
    context_labels = jnp.concatenate([labels[None], queue_labels]).reshape(
        -1, labels.shape[-1]
    )
    votes = context_labels[slot * height * width + patch]  # [h, w, k, L]
    predicted = jnp.einsum('hwk,hwkl->hwl', weights, votes, precision='highest')
    oldest = frame % num_context
    queue = tuple(
        tile.at[oldest].set(features_t[rows, columns])
        for tile, (rows, columns, _, _) in zip(queue, tiles)
    )
    return (queue, queue_labels.at[oldest].set(predicted)), predicted

  inputs = (start + jnp.arange(len(features)), features)
  return jax.lax.scan(step, carry, inputs)


def _search_tile(
    tile,
    queries,
    first,
    is_first,
    frame,
    origin,
    window_origin,
    grid,
    temperature,
    top_k,
    radius,
):
  """The best patches of one tile of all queue frames, for a query window.

  Works on groups, the rows of the tile: the best k patches lie in the k groups
  of highest maximum, ties included, as groups follow the order of the context.
  """
  num_context, tile_height, tile_width, _ = tile.shape
  shape = queries.shape[:2]
  num_queries = shape[0] * shape[1]
  affinity = _affinity(tile, queries) / temperature
  affinity = jnp.where(
      is_first[:, None, None, None, None], first[None], affinity
  )
  rows = origin[0] + jnp.arange(tile_height)
  columns = origin[1] + jnp.arange(tile_width)
  query_rows = window_origin[0] + jnp.arange(shape[0])
  query_columns = window_origin[1] + jnp.arange(shape[1])
  square = (
      jnp.square(rows[:, None] - query_rows[None])[:, None, :, None]
      + jnp.square(columns[:, None] - query_columns[None])[None, :, None]
  )  # [th, tw, qh, qw]
  affinity = jnp.where(square[None] < radius**2, affinity, _MASKED)
  affinity = affinity.reshape(num_context, tile_height, tile_width, -1)

  order = (frame + jnp.arange(num_context)) % num_context  # oldest first
  maxima = affinity.max(2)[order].reshape(-1, num_queries).T
  groups = jax.lax.top_k(maxima, min(top_k, maxima.shape[1]))[1]
  groups = jnp.sort(groups)  # [Q, g]
  position, row = jnp.divmod(groups, tile_height)
  values = affinity[order[position], row, :, jnp.arange(num_queries)[:, None]]
  indices = (
      (1 + position[..., None]) * grid[0] * grid[1]
      + (origin[0] + row[..., None]) * grid[1]
      + columns[None, None]
  )  # [Q, g, tw]
  values, best = jax.lax.top_k(
      values.reshape(num_queries, -1), min(top_k, groups.shape[1] * tile_width)
  )
  indices = jnp.take_along_axis(indices.reshape(num_queries, -1), best, 1)
  return values.reshape(*shape, -1), indices.reshape(*shape, -1)


def _merge(found, windows, grid, top_k):
  """Joins (values, indices) of query windows: the k best of each query."""
  size = sum(values.shape[-1] for values, _ in found)
  values = jnp.full((*grid, size), 2 * _MASKED)
  indices = jnp.zeros((*grid, size), jnp.int32)
  start = 0
  for (v, i), (rows, columns) in zip(found, windows):
    part = slice(start, start + v.shape[-1])
    values = values.at[rows, columns, part].set(v)
    indices = indices.at[rows, columns, part].set(i)
    start += v.shape[-1]
  # Lists of tiles interleave in the context: settle ties by index.
  last = jax.lax.top_k(values, top_k)[0][..., -1:]
  rank = jnp.where(values == last, -indices.astype(jnp.float32), -jnp.inf)
  rank = jnp.where(values > last, 1.0, rank)
  best = jax.lax.top_k(rank, top_k)[1]
  return (
      jnp.take_along_axis(values, best, -1),
      jnp.take_along_axis(indices, best, -1),
  )


def _affinity(context, queries):
  return jnp.tensordot(context, queries, (-1, -1), precision='highest')


def _spans(size, largest):
  """Slices of nearly equal length, none above `largest`, that cover `size`."""
  edges = np.linspace(0, size, -(-size // largest) + 1).astype(int).tolist()
  return [slice(a, b) for a, b in zip(edges[:-1], edges[1:])]


def _window(span, reach, size):
  return slice(max(0, span.start - reach), min(size, span.stop + reach))
