"""Attention by its definition, in float64, and inputs for it."""

import jax.numpy as jnp
import numpy as np


def sample(seed, num_queries, num_keys, num_heads, head_width, dtype, batch=2):
  """Returns random queries, keys, values and a gradient of the result."""
  rng = np.random.default_rng(seed)
  width = num_heads * head_width
  return [
      jnp.asarray(rng.normal(size=(batch, size, width)), dtype)
      for size in (num_queries, num_keys, num_keys, num_queries)
  ]


def attend(query, key, value, gradient, num_heads):
  """Computes attention and its gradients, one sequence and head at a time.

  Args:
    query: queries, [B, Q, D].
    key: keys, [B, M, D].
    value: values, [B, M, D].
    gradient: gradient of the result, [B, Q, D].
    num_heads: number of heads.

  Returns:
    The result and the gradients of queries, keys and values, float64.
  """
  inputs = [np.float64(x) for x in (query, key, value, gradient)]
  outputs = [np.empty(inputs[i].shape) for i in (0, 0, 1, 2)]
  head_width = query.shape[-1] // num_heads
  for b, head in np.ndindex(query.shape[0], num_heads):
    at = b, slice(None), slice(head * head_width, (head + 1) * head_width)
    q, k, v, g = (x[at] for x in inputs)
    scores = q @ k.T / np.sqrt(head_width)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    # The derivative of the softmax, a matrix for each query, is written out.
    d_weights = g @ v.T
    mean = (weights * d_weights).sum(1, keepdims=True)
    d_scores = weights * (d_weights - mean) / np.sqrt(head_width)
    found = weights @ v, d_scores @ k, d_scores.T @ q, weights.T @ g
    for output, part in zip(outputs, found, strict=True):
      output[at] = part
  return outputs


def largest_error(found, expected):
  """Returns the largest error, as a share of the largest expected number."""
  expected = np.asarray(expected)
  error = np.abs(np.float64(found) - expected).max()
  return error / np.abs(expected).max()
