"""The context of label propagation, and the search for similar patches in it.

The context of a frame is the first frame of the video and a queue of the last
`num_context` frames before this one. The queue is a ring buffer of slots: frame
t is stored in slot t % num_context. Frames are numbered from 0. Before frame 0,
all slots hold copies of the first frame.

The queries are the patches of the frame to predict. The affinity of a query and
a patch of the context is the dot product of their features, divided by the
temperature. The matrix of all affinities of a frame would have
(1 + num_context) * h * w rows and h * w columns. To save memory, the frames of
the queue are cut into tiles, rectangles of the patch grid, and each tile is
compared only with the queries that are within the radius.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rvm_jax.evals.propagation import tiles as tiles_lib

# Affinity given to patches that are too far apart, as in the released
# evaluation.
_MASKED = -1e10


class Settings(NamedTuple):
  """Settings of the search; the search is compiled for each combination.

  Attributes:
    num_context: C, number of frames in the queue.
    temperature: number that dot products are divided by.
    top_k: k, number of patches to find for each query.
    radius: a patch of the queue can be found only if its Euclidean distance to
      the query in the patch grid, in patches, is strictly smaller than this.
  """

  num_context: int
  temperature: float
  top_k: int
  radius: float


def start(first: jax.Array, settings: Settings) -> tuple[jax.Array, ...]:
  """Returns a queue in which every slot holds the first frame.

  Args:
    first: float32 [h, w, D], the features of the first frame.
    settings: settings of the search.

  Returns:
    The queue: for each tile the features of its patches in all slots, float32
    [num_context, tile h, tile w, D].
  """
  return tuple(
      jnp.repeat(first[None, tile.rows, tile.columns], settings.num_context, 0)
      for tile in tiles_lib.make_tiles(*first.shape[:2], settings.radius)
  )


def push(
    queue: tuple[jax.Array, ...],
    features: jax.Array,
    frame: jax.Array,
    settings: Settings,
) -> tuple[jax.Array, ...]:
  """Replaces the oldest frame of a queue by a new frame.

  Args:
    queue: the queue, as returned by `start` or `push`.
    features: float32 [h, w, D], the features of the new frame.
    frame: int [], the number of the new frame in the video, from 0.
    settings: settings of the search.

  Returns:
    The queue with the new frame in slot `frame % num_context`.
  """
  tiles = tiles_lib.make_tiles(*features.shape[:2], settings.radius)
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

  Of patches with equal affinity, the first in the order of the context is
  chosen: the first frame precedes the queue, older frames of the queue precede
  newer ones, and the patches of a frame are in raster order.

  Args:
    first: float32 [h, w, D], the features of the first frame.
    queue: the queue, as returned by `start` or `push`.
    queries: float32 [h, w, D], the features of the frame to predict.
    frame: int [], the number of the frame to predict, from 0.
    settings: settings of the search.

  Returns:
    The affinities of the patches found, float32 [h, w, top_k], and their
    positions, int32 [h, w, top_k]: indices into the flattened array
    [1 + num_context, h, w] of the patches of the first frame and of all slots.
    The patches found for a query are in no particular order.
  """
  num_context, temperature, top_k, radius = settings
  height, width = grid = queries.shape[:2]

  # Find the best patches of the first frame, which is searched without regard
  # to the radius.
  first_affinity = _affinity(first, queries) / temperature  # [h, w, h, w]
  values, indices = jax.lax.top_k(
      first_affinity.reshape(height * width, -1).T, min(top_k, height * width)
  )
  found = [(values.reshape(*grid, -1), indices.reshape(*grid, -1))]
  windows = [(slice(0, height), slice(0, width))]

  # Find the best patches of each tile of the queue. Slots that hold the first
  # frame (the copies, and frame 0 itself in slot 0) take the affinities
  # computed above. If the same affinities were computed again, they could
  # differ in the last bit, and ties would be lost.
  slots = jnp.arange(num_context)
  is_first = (slots >= frame) | ((slots == 0) & (frame <= num_context))
  for tile, patches in zip(
      tiles_lib.make_tiles(*grid, radius), queue, strict=True
  ):
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

  # Indices number the frames of the queue from the oldest to the newest.
  # Convert these numbers to slots.
  position, patch = jnp.divmod(indices, height * width)
  slot = jnp.where(position == 0, 0, 1 + (position - 1 + frame) % num_context)
  return values, slot * height * width + patch


def _search_tile(tile, affinity, frame, grid, settings):
  """Finds the best patches of a tile, in all frames of the queue.

  To avoid sorting all patches, each row of the tile in each frame is a group,
  and only the k groups with the highest maxima are searched. These groups
  contain the k best patches: a patch of any other group has at most the
  affinity of each of the k maxima. Ties are broken as in `search`, because
  groups are in the order of the context, and of groups with equal maxima the
  earlier one is chosen.

  Args:
    tile: the tile.
    affinity: float32 [C, th, tw, qh, qw], the affinity of each of the th * tw
      patches of the tile, in each of the C slots of the queue, to each of the
      Q = qh * qw queries in the window of the tile.
    frame: int [], the number of the frame to predict, from 0.
    grid: number of rows and columns of patches in a frame, h and w.
    settings: settings of the search.

  Returns:
    The affinities of the k best patches for each query, float32 [qh, qw, k],
    and their positions, int32 [qh, qw, k]: indices into the flattened array
    [1 + C, h, w] of the patches of the first frame and of the queue's frames
    from the oldest to the newest. There are fewer than k if the tile has fewer
    than k patches in all slots.
  """
  num_context, tile_height, tile_width, *shape = affinity.shape
  num_queries = shape[0] * shape[1]

  # Mask the pairs of patches whose distance is not below the radius.
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

  # For each query choose k of the C * th groups, which are in the order of the
  # context.
  order = (frame + jnp.arange(num_context)) % num_context
  maxima = affinity.max(2)[order].reshape(-1, num_queries).T  # [Q, C * th]
  groups = jax.lax.top_k(maxima, min(settings.top_k, maxima.shape[1]))[1]
  groups = jnp.sort(groups)  # [Q, k]

  # For each query choose k of the k * tw patches in its groups.
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

  There is one search in the first frame, and one in each tile of the queue.

  Args:
    found: for each search the affinities, float32 [qh, qw, n], and the indices,
      int32 [qh, qw, n], of the patches found. qh, qw and n differ.
    windows: for each search the queries that it was made for, as slices of the
      rows and columns of the grid.
    grid: number of rows and columns of patches in a frame, h and w.
    top_k: number of patches to choose.

  Returns:
    Affinities, float32 [h, w, top_k], and indices, int32 [h, w, top_k].
  """
  # Put the results side by side, [h, w, n1 + n2 + ...]. A search has no results
  # for a query outside its window. There the entries get an affinity below that
  # of masked patches, so that they are chosen last.
  size = sum(values.shape[-1] for values, _ in found)
  values = jnp.full((*grid, size), 2 * _MASKED)
  indices = jnp.zeros((*grid, size), jnp.int32)
  begin = 0
  for (v, i), window in zip(found, windows, strict=True):
    end = begin + v.shape[-1]
    values = values.at[*window, begin:end].set(v)
    indices = indices.at[*window, begin:end].set(i)
    begin = end

  # The patches of the tiles are not side by side in the order of the context,
  # so that `top_k` alone would break ties wrongly. Instead, rank the patches:
  # those above the k-th highest affinity come first, then those equal to it by
  # ascending index.
  last = jax.lax.top_k(values, top_k)[0][..., -1:]
  rank = jnp.where(values == last, -indices.astype(jnp.float32), -jnp.inf)
  rank = jnp.where(values > last, 1.0, rank)
  best = jax.lax.top_k(rank, top_k)[1]
  return (
      jnp.take_along_axis(values, best, -1),
      jnp.take_along_axis(indices, best, -1),
  )


def _affinity(context, queries):
  """Returns dot products of features.

  Args:
    context: float32 [..., D], features of patches of the context.
    queries: float32 [h, w, D], features of the queries.

  Returns:
    float32 [..., h, w].
  """
  return jnp.tensordot(context, queries, (-1, -1), precision='highest')
