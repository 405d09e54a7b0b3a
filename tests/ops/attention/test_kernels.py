"""How the queries of a sequence are divided into blocks."""

import pytest

from rvm_jax.ops.attention import kernels


@pytest.mark.parametrize(
    'num_queries, num_heads, blocks, rest',
    [
        (257, 8, [(0, 256)], (256, 257)),
        (384, 8, [(0, 256), (256, 384)], None),
        # The rows of all heads fill one vector of lanes, and no more.
        (1028, 32, [(i, i + 256) for i in range(0, 1024, 256)], (1024, 1028)),
        (260, 33, [(0, 256), (256, 260)], None),
        (9, 2, [], (0, 9)),
    ],
)
def test_few_queries_after_the_last_multiple_of_128_are_the_rest(
    num_queries, num_heads, blocks, rest
):
  found, left = kernels._split(num_queries, num_heads)
  assert [(x.start, x.stop) for x in found] == blocks
  assert (left and (left.start, left.stop)) == rest


def test_count_blocks_leaves_out_the_rest():
  counts = [kernels.count_blocks(x) for x in (1, 127, 256, 257, 384, 1028)]
  assert counts == [1, 1, 1, 1, 2, 4]
