"""Texts like 0/4 name a part of the work that machines share."""

import pytest

from rvm_jax.data import shares


def test_a_part_has_a_number_and_a_count():
  assert shares.parse('0/1') == (0, 1)
  assert shares.parse('11/12') == (11, 12)


@pytest.mark.parametrize('text', ['', '1', '1/1', '2/1', '-1/2', '0/0', 'a/b'])
def test_other_texts_are_refused(text):
  with pytest.raises(ValueError, match='must be like 0/4 to 3/4'):
    shares.parse(text)
