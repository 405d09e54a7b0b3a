"""The context of label propagation, and the search for similar patches in it.

The context is the first frame of a video and a queue of the frames before the
one that is predicted. The queue is a ring of slots: frame t replaces slot
t % num_context. Before frame 0 all slots hold copies of the first frame.

The matrix of all affinities of a frame has (1 + num_context) * h * w rows and
h * w columns. To avoid it, the queue is cut into tiles of the patch grid, and a
tile is compared with the patches that are near enough to it alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Affinity of patches that are too far apart, as in the released evaluation.
_MASKED = -1e10
# Most rows and columns of patches in a tile.
_TILE = (16, 8)


class Settings(NamedTuple):
  """Settings of the search, constants of a compiled program.

  Attributes:
    num_context: number of frames in the queue.
    temperature: the number that affinities are divided by.
    top_k: number of patches to find.
    radius: patches of the queue count if their Euclidean distance to the query,
      in patches, is strictly smaller than this.
  """

  num_context: int
  temperature: float
  top_k: int
  radius: float


class _Tile(NamedTuple):
  """A rectangle of the patch grid, given by slices of its rows and columns.

  Attributes:
    rows, columns: the patches of the tile.
    query_rows, query_columns: its window, the smallest rectangle that holds all
      patches closer than the radius to a patch of the tile.
  """

  rows: slice
  columns: slice
  query_rows: slice
  query_columns: slice


def start(first: jax.Array, settings: Settings) -> tuple[jax.Array, ...]:
  """Makes a queue of copies of the first frame.

  Args:
    first: float32 [h, w, D], the features of the first frame.
    settings: settings of the search.

  Returns:
    The queue: for each tile float32 [num_context, tile h, tile w, D].
  """
  return tuple(
      jnp.repeat(first[None, tile.rows, tile.columns], settings.num_context, 0)
      for tile in _make_tiles(*first.shape[:2], settings.radius)
  )


def push(
    queue: tuple[jax.Array, ...],
    features: jax.Array,
    frame: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, ...]:
  """Replaces the oldest frame of a queue.

  Args:
    queue: the queue, as returned by `start`.
    features: float32 [h, w, D], the features of the new frame.
    frame: int [], the number of the new frame.
    settings: settings of the search.

  Returns:
    The queue with the new frame in slot `frame % num_context`.
  """
  tiles = _make_tiles(*features.shape[:2], settings.radius)
  return tuple(
      patches.at[frame % settings.num_context].set(
          features[tile.rows, tile.columns]
      )
      for tile, patches in zip(tiles, queue, strict=True)
  )


def search(
    first: jax.Array,
    queue: tuple[jax.Array, ...],
    queries: jax.Array,
    frame: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, jax.Array]:
  """Finds the patches of the context that are most similar to each query.

  Where affinities are equal, the first frame comes before the queue, older
  frames of the queue come before newer ones, and patches of a frame are in
  raster order.

  Args:
    first: float32 [h, w, D], the features of the first frame.
    queue: the queue, as returned by `start` or `push`.
    queries: float32 [h, w, D], the features of the frame to predict.
    frame: int [], the number of this frame.
    settings: settings of the search.

  Returns:
    float32 [h, w, top_k], the affinities of the patches found, and int32 [h, w,
    top_k], where they are: indices into the flattened [1 + num_context, h, w]
    patches of the first frame and the slots. They are in no particular order.
  """
  num_context, temperature, top_k, radius = settings
  height, width = grid = queries.shape[:2]

  # The best patches of the first frame, which is searched everywhere.
  first_affinity = _affinity(first, queries) / temperature  # [h, w, h, w]
  values, indices = jax.lax.top_k(
      first_affinity.reshape(height * width, -1).T, min(top_k, height * width)
  )
  found = [(values.reshape(*grid, -1), indices.reshape(*grid, -1))]
  windows = [(slice(0, height), slice(0, width))]

  # The best patches of each tile of the queue. Slots that hold the first frame
  # (the copies, and frame 0 itself in slot 0) take the affinities computed
  # above: only numbers of the same product are equal to the last bit.
  slots = jnp.arange(num_context)
  is_first = (slots >= frame) | ((slots == 0) & (frame <= num_context))
  for tile, patches in zip(_make_tiles(*grid, radius), queue, strict=True):
    window = tile.query_rows, tile.query_columns
    affinity = _affinity(patches, queries[window]) / temperature
    affinity = jnp.where(
        is_first[:, None, None, None, None],
        first_affinity[tile.rows, tile.columns, *window][None],
        affinity,
    )  # [num_context, tile h, tile w, window h, window w]
    found.append(_search_tile(tile, affinity, frame, grid, settings))
    windows.append(window)
  values, indices = _merge(found, windows, grid, top_k)

  # Indices count the queue from its oldest frame on; turn that into slots.
  position, patch = jnp.divmod(indices, height * width)
  slot = jnp.where(position == 0, 0, 1 + (position - 1 + frame) % num_context)
  return values, slot * height * width + patch


def _search_tile(tile, affinity, frame, grid, settings):
  """Finds the best patches of a tile, in all frames of the queue.

  The search goes by groups of patches: a group is a row of the tile in one
  frame. The best k patches lie in the k groups with the highest maxima, because
  these k maxima are better than any patch of another group. This holds with
  ties too: groups are in the order of the context, and the earlier one wins.

  Args:
    tile: the tile.
    affinity: float32 [C, th, tw, qh, qw], affinities of its patches in the C
      slots of the queue and the Q = qh * qw queries in its window.
    frame: int [], the number of the frame to predict.
    grid: h and w.
    settings: settings of the search.

  Returns:
    Affinities, float32 [qh, qw, k], and where the patches are, int32 [qh, qw,
    k]: indices into the flattened [1 + num_context, h, w] patches of the first
    frame and the queue, ordered from its oldest frame to its newest.
  """
  num_context, tile_height, tile_width, *shape = affinity.shape
  num_queries = shape[0] * shape[1]

  # Mask the pairs that are too far apart.
  rows = tile.rows.start + jnp.arange(tile_height)
  columns = tile.columns.start + jnp.arange(tile_width)
  query_rows = tile.query_rows.start + jnp.arange(shape[0])
  query_columns = tile.query_columns.start + jnp.arange(shape[1])
  square = (
      jnp.square(rows[:, None] - query_rows[None])[:, None, :, None]
      + jnp.square(columns[:, None] - query_columns[None])[None, :, None]
  )  # [th, tw, qh, qw]
  affinity = jnp.where(square[None] < settings.radius**2, affinity, _MASKED)
  affinity = affinity.reshape(num_context, tile_height, tile_width, -1)

  # Choose k of the C * th groups for each query, oldest frames first.
  order = (frame + jnp.arange(num_context)) % num_context
  maxima = affinity.max(2)[order].reshape(-1, num_queries).T  # [Q, C * th]
  groups = jax.lax.top_k(maxima, min(settings.top_k, maxima.shape[1]))[1]
  groups = jnp.sort(groups)  # [Q, k]

  # Choose k of the k * tw patches in these groups.
  position, row = jnp.divmod(groups, tile_height)
  values = affinity[order[position], row, :, jnp.arange(num_queries)[:, None]]
  indices = (
      (1 + position[..., None]) * grid[0] * grid[1]
      + (tile.rows.start + row[..., None]) * grid[1]
      + columns[None, None]
  )  # [Q, k, tw]
  values, best = jax.lax.top_k(
      values.reshape(num_queries, -1),
      min(settings.top_k, groups.shape[1] * tile_width),
  )
  indices = jnp.take_along_axis(indices.reshape(num_queries, -1), best, 1)
  return values.reshape(*shape, -1), indices.reshape(*shape, -1)


def _merge(found, windows, grid, top_k):
  """Chooses the best patches of each query from the results of all searches.

  Args:
    found: affinities [qh, qw, n] and indices [qh, qw, n] from each search.
    windows: slices of the rows and columns of the queries in each search.
    grid: h and w.
    top_k: number of patches to choose.

  Returns:
    Affinities and indices, [h, w, top_k] each.
  """
  # Put the results side by side, [h, w, n1 + n2 + ...]. Outside the window of a
  # tile, entries are lower than those of masked patches.
  size = sum(values.shape[-1] for values, _ in found)
  values = jnp.full((*grid, size), 2 * _MASKED)
  indices = jnp.zeros((*grid, size), jnp.int32)
  begin = 0
  for (v, i), window in zip(found, windows, strict=True):
    end = begin + v.shape[-1]
    values = values.at[*window, begin:end].set(v)
    indices = indices.at[*window, begin:end].set(i)
    begin = end

  # The results of tiles interleave in the context, so equal affinities are not
  # in its order here. Choose all that are above the k-th highest affinity; of
  # those that are equal to it, choose the lowest indices.
  last = jax.lax.top_k(values, top_k)[0][..., -1:]
  rank = jnp.where(values == last, -indices.astype(jnp.float32), -jnp.inf)
  rank = jnp.where(values > last, 1.0, rank)
  best = jax.lax.top_k(rank, top_k)[1]
  return (
      jnp.take_along_axis(values, best, -1),
      jnp.take_along_axis(indices, best, -1),
  )


def _affinity(context, queries):
  """Returns dot products [..., h, w] of features [..., D] and [h, w, D]."""
  return jnp.tensordot(context, queries, (-1, -1), precision='highest')


def _make_tiles(height, width, radius):
  """Cuts the patch grid into tiles of at most 16 x 8 patches."""
  # The largest whole number below the radius. At radius 0 no pair counts, but
  # windows must not be empty.
  reach = max(0, int(np.ceil(radius)) - 1)
  return [
      _Tile(
          rows,
          columns,
          _widen(rows, reach, height),
          _widen(columns, reach, width),
      )
      for rows in _split(height, _TILE[0])
      for columns in _split(width, _TILE[1])
  ]


def _split(size, largest):
  """Splits `size` places into nearly equal slices of at most `largest`."""
  edges = np.linspace(0, size, -(-size // largest) + 1).astype(int).tolist()
  return [slice(a, b) for a, b in zip(edges[:-1], edges[1:])]


def _widen(part, reach, size):
  """Extends a slice by `reach` places on both sides, within `size` places."""
  return slice(max(0, part.start - reach), min(size, part.stop + reach))
