"""Initial parameters with which small models learn to use the source frames.

A model that trains for minutes learns first to copy what was at the same place
in the source frames, and its features then hold little but positions. With
these initial values, and positions added to the decoder's context, content
outweighs position from the start; docs/results.md has measurements. Both
changes belong to the option `content_first` of `rvm.RVM`, which the released
models do not use.
"""

from collections.abc import Mapping
from typing import Any

from flax import traverse_util

# How much larger the kernel of the patch embedding is than in the paper.
# Position embeddings are fixed, so that content then outweighs position.
PATCH_SCALE = 3.0
# How much larger the decoder's queries and keys are than in the paper.
QUERY_SCALE = 2.0


def favour(params: Mapping[str, Any]) -> dict[str, Any]:
  """Returns initial parameters of an `RVM`, changed in favour of content.

  The kernel of the patch embedding is larger by `PATCH_SCALE`. In the
  cross-attention of the decoder the kernel of the keys is that of the queries,
  and both are larger by `QUERY_SCALE`, so that a query attends at first to
  tokens that are like it, in content and in place.

  Args:
    params: the initial parameter tree of an `RVM` with a decoder.
  """
  arrays = traverse_util.flatten_dict(params)
  for path, array in arrays.items():
    match path:
      case ('tokenizer', *_, 'kernel'):
        arrays[path] = PATCH_SCALE * array
      case ('decoder', block, 'ca_attention', 'query', 'kernel'):
        key = ('decoder', block, 'ca_attention', 'key', 'kernel')
        arrays[path] = arrays[key] = QUERY_SCALE * array
  return traverse_util.unflatten_dict(arrays)
