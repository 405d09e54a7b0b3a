"""What a grid step of attention on a TPU computes, forward and backward.

A step has all queries, keys and values of one sequence, for a group of heads
whose channels lie side by side. Q is the number of queries, M that of keys, G
that of the channels of the group and C that of the channels of a head. Names
that end in `_ref` are Pallas references, from which a kernel reads its inputs,
and to which it writes its outputs.

A head is picked out of the group by setting the other channels of the queries
to zero, because the matrix unit multiplies over 128 channels in the time that
it needs for 32. The scores are computed transposed, keys by queries, [M, Q].
Then the maximum and the sum of the softmax are rows, which are cheap to reduce
and to broadcast. The result and the gradient of the queries are computed
transposed too, [C, Q]; otherwise they would need weights and gradients of
scores as arrays [Q, M].

The matrix unit takes 128 or 256 queries at a time, so that the last one of 257
queries would take as long as 128 others. The few queries after the last
multiple of 128 are called the rest. They are computed for all heads at once, as
an array [heads * rest, G] with a row for each head of each query. In a row the
channels of all other heads are zero, so that its product with the keys of the
whole group gives the scores of one head.
"""

import math

import jax
import jax.numpy as jnp

from rvm_jax.ops.attention import heads as heads_lib

# Number of queries whose scores are computed at a time.
BLOCK = 256

# Maps the index of the first query of each block to the transposed results of
# the block's heads, each [C, number of queries in the block].
_Columns = dict[int, list[jax.Array]]


def attend_forward(
    query_ref, key_ref, value_ref, out_ref, log_sum_ref, *, head_width
):
  """Computes the result of attention, and what the backward pass needs.

  Args:
    query_ref: queries, [1, Q, G].
    key_ref: keys, [1, M, G].
    value_ref: values, [1, M, G].
    out_ref: output, the result of attention, [1, Q, G].
    log_sum_ref: output, base 2 logarithm of the sum of exponentials that the
      softmax divides by, [1, 1, heads, Q]. It is not set for the rest of the
      queries, whose softmax the backward pass computes again.
    head_width: C, number of channels of a head.
  """
  _, num_queries, group = query_ref.shape
  dtype = value_ref.dtype
  factor = _factor(head_width)
  blocks, rest = _split(num_queries, group // head_width)
  value_t = value_ref[0].T  # [G, M]
  out_t: _Columns = {block.start: [] for block in blocks}

  # The three stages of a head of a block: scores, weights without the division
  # by their sum, and the weighted mean of the values.

  def score(item, _):
    block, head = item
    query = head.pick(query_ref[0, block, head.lanes])
    return factor * heads_lib.dot(
        key_ref[0, :, head.lanes], query, heads_lib.ABT
    )  # [M, Q]

  def weigh(item, scores):
    block, head = item
    top = scores.max(0, keepdims=True)  # [1, Q]
    weights = jnp.exp2(scores - top)
    total = weights.sum(0, keepdims=True)
    log_sum_ref[0, 0, head.number, block] = (top + jnp.log2(total))[0]
    return weights.astype(dtype), total

  def mix(item, weights_and_total):
    block, head = item
    weights, total = weights_and_total
    mixed_t = heads_lib.dot(value_t[head.rows], weights, heads_lib.AB)
    out_t[block.start].append(mixed_t / total)  # [C, Q]

  _overlap(blocks, heads_lib.split(group, head_width), score, weigh, mix)
  for block in blocks:
    mixed = jnp.concatenate(out_t[block.start]).T
    out_ref[0, block, :] = mixed.astype(dtype)
  if rest:
    # The rest of the queries, with a row for each head of each of them.
    stack = heads_lib.Stack(rest.stop - rest.start, group, head_width, dtype)
    weights = _weigh(key_ref[0], stack.spread(query_ref[0, rest, :]), factor)
    mixed = heads_lib.dot(weights.astype(dtype), value_ref[0], heads_lib.ATB)
    out_ref[0, rest, :] = stack.collect(mixed).astype(dtype)


def attend_backward(
    query_ref,
    key_ref,
    value_ref,
    out_ref,
    log_sum_ref,
    gradient_ref,
    d_query_ref,
    d_key_ref,
    d_value_ref,
    *,
    head_width,
):
  """Computes the gradients of queries, keys and values.

  Args:
    query_ref: queries, [1, Q, G].
    key_ref: keys, [1, M, G].
    value_ref: values, [1, M, G].
    out_ref: the result of `attend_forward`, [1, Q, G].
    log_sum_ref: the logarithms from `attend_forward`, [1, 1, heads, Q].
    gradient_ref: gradient of the result, [1, Q, G].
    d_query_ref: output, gradient of the queries, [1, Q, G].
    d_key_ref: output, gradient of the keys, [1, M, G].
    d_value_ref: output, gradient of the values, [1, M, G].
    head_width: C, number of channels of a head.
  """
  _, num_queries, group = query_ref.shape
  dtype = query_ref.dtype
  factor = _factor(head_width)
  scale = 1 / math.sqrt(head_width)
  blocks, rest = _split(num_queries, group // head_width)
  key_t = key_ref[0].T  # [G, M]
  d_key, d_value = heads_lib.Sum(), heads_lib.Sum()
  d_query_t: _Columns = {block.start: [] for block in blocks}

  # The three stages of a head of a block: scores and gradients of the weights;
  # weights and gradients of the scores; and what this head of this block adds
  # to the gradients of queries, keys and values.

  def score(item, _):
    block, head = item
    query = head.pick(query_ref[0, block, head.lanes])
    gradient = head.pick(gradient_ref[0, block, head.lanes])
    scores = factor * heads_lib.dot(
        key_ref[0, :, head.lanes], query, heads_lib.ABT
    )  # [M, Q]
    d_weights = heads_lib.dot(
        value_ref[0, :, head.lanes], gradient, heads_lib.ABT
    )
    return query, gradient, scores, d_weights

  def weigh(item, scored):
    block, head = item
    query, gradient, scores, d_weights = scored
    # Compute the weights again from the scores and the logarithm of their sum.
    log_sum = log_sum_ref[0, 0, head.number, block][None]
    weights = jnp.exp2(scores - log_sum)
    # The softmax's derivative needs the weighted mean of the gradients of a
    # query's weights. It equals the dot product of the query's result and of
    # the gradient of this result.
    out = out_ref[0, block, head.lanes].astype(jnp.float32)
    mean = (gradient * out).sum(1, keepdims=True).T  # [1, Q]
    d_scores = scale * weights * (d_weights - mean)
    return query, gradient, weights.astype(dtype), d_scores.astype(dtype)

  def mix(item, weighed):
    block, head = item
    query, gradient, weights, d_scores = weighed
    d_value.add(head.lanes, heads_lib.dot(weights, gradient, heads_lib.AB))
    d_key.add(head.lanes, heads_lib.dot(d_scores, query, heads_lib.AB))
    part = heads_lib.dot(key_t[head.rows], d_scores, heads_lib.AB)  # [C, Q]
    d_query_t[block.start].append(part)

  _overlap(blocks, heads_lib.split(group, head_width), score, weigh, mix)
  for block in blocks:
    d_query = jnp.concatenate(d_query_t[block.start]).T
    d_query_ref[0, block, :] = d_query.astype(dtype)
  if rest:
    # The rest of the queries, with a row for each head of each of them.
    stack = heads_lib.Stack(rest.stop - rest.start, group, head_width, dtype)
    query = stack.spread(query_ref[0, rest, :])
    gradient = stack.spread(gradient_ref[0, rest, :])
    weights = _weigh(key_ref[0], query, factor)
    lanes = slice(0, group)
    d_value.add(
        lanes, heads_lib.dot(weights.astype(dtype), gradient, heads_lib.AB)
    )
    d_weights = heads_lib.dot(value_ref[0], gradient, heads_lib.ABT)
    mean = (weights * d_weights).sum(0, keepdims=True)
    d_scores = (scale * weights * (d_weights - mean)).astype(dtype)
    d_key.add(lanes, heads_lib.dot(d_scores, query, heads_lib.AB))
    d_query = heads_lib.dot(d_scores, key_ref[0], heads_lib.ATB)
    d_query_ref[0, rest, :] = stack.collect(d_query).astype(dtype)
  d_key.store(d_key_ref)
  d_value.store(d_value_ref)


def count_blocks(num_queries: int) -> int:
  """Returns about how many blocks the queries make, at least 1.

  Queries after the last multiple of 128 are not counted, even if there are so
  many that `_split` puts them into blocks.
  """
  whole = num_queries - num_queries % heads_lib.LANES
  return max(1, -(-whole // BLOCK))


def _factor(head_width):
  """Returns the factor of the scores, 1 / sqrt(C) times log2(e).

  With log2(e) in it, the softmax can take powers of 2 in place of exponentials.
  """
  return math.log2(math.e) / math.sqrt(head_width)


def _split(num_queries, num_heads):
  """Returns blocks of queries, as slices, and the rest, a slice or None.

  The queries after the last multiple of 128 are the rest, if there are so few
  that one vector of lanes holds them for all heads. Else there is no rest, and
  the blocks hold all queries.
  """
  rest = num_queries % heads_lib.LANES
  if rest * num_heads > heads_lib.LANES:
    rest = 0
  whole = num_queries - rest
  blocks = [
      slice(start, min(start + BLOCK, whole))
      for start in range(0, whole, BLOCK)
  ]
  return blocks, slice(whole, num_queries) if rest else None


def _overlap(blocks, heads, *stages):
  """Computes all heads of all blocks, with their stages interleaved.

  The compiler hardly moves operations, so they are written down in an order in
  which the units can work at the same time: while the matrix unit computes the
  scores of one head, the vector unit computes the weights of the one before.

  Args:
    blocks: blocks of queries, as slices.
    heads: the heads, as `heads.split` returns them.
    *stages: functions of a pair of a block and a head, and of what the stage
      before returned for this pair; the first stage is given None.
  """
  items = [(block, head) for block in blocks for head in heads]
  results = [None] * len(items)
  for step in range(len(items) + len(stages) - 1):
    for delay, stage in enumerate(stages):
      i = step - delay
      if 0 <= i < len(items):
        results[i] = stage(items[i], results[i])


def _weigh(key, query, factor):
  """Returns the softmax of the scores of all keys, [M, Q], in float32."""
  scores = factor * heads_lib.dot(key, query, heads_lib.ABT)
  weights = jnp.exp2(scores - scores.max(0, keepdims=True))
  return weights / weights.sum(0, keepdims=True)
