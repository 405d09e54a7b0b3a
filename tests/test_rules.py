"""Rules of settings: what they allow, and the messages about broken ones."""

import math

import numpy as np
import pytest

from rvm_jax import rules

RULES = {
    'size': rules.COUNT,
    'data.rate': rules.optional(rules.POSITIVE),
    'data.area': rules.interval(rules.SHARE),
    'more.rate': rules.NOT_NEGATIVE,
}
VALUES = {'size': 1, 'data.rate': None, 'data.area': (0, 1), 'more.rate': 0}


def test_check_accepts_settings_that_keep_their_rules():
  rules.check(VALUES, RULES, 'config.')
  rules.check(VALUES | {'data.rate': 3}, RULES, 'config.')


@pytest.mark.parametrize(
    'rule, good, bad',
    [
        (rules.whole(2), [2, 2**31 - 1], [1, 2.0, True, '2', None, 2**31]),
        (
            rules.POSITIVE,
            [1, 1e-9, np.float64(2)],
            [0, -1.0, math.nan, math.inf, True, 'x'],
        ),
        (rules.SHARE, [0, 0.5, 1.0], [-0.1, 1.1, math.nan]),
        (rules.SHARE_BELOW_ONE, [0, 0.99], [1, -0.1]),
        (rules.one_of('a', 'b'), ['a', 'b'], ['c', '', 1]),
        (rules.optional(rules.COUNT), [None, 1], [0, 'x']),
        (rules.several('texts', rules.TEXT), [('a',)], [(), 'a', ('a', '')]),
        (rules.interval(rules.SHARE), [(0, 1), (1, 1)], [(1, 0), (0, 2), (0,)]),
        (rules.FLAG, [True, False], [0, None, 'True']),
    ],
)
def test_rules_tell_good_values_from_bad_ones(rule, good, bad):
  for value in good:
    rules.check({'key': value}, {'key': rule}, '')
  for value in bad:
    with pytest.raises(ValueError, match='^config.key=.* must be '):
      rules.check({'key': value}, {'key': rule}, 'config.')


@pytest.mark.parametrize(
    'key, suggested',
    [
        ('data.rat', '; did you mean data.rate?'),
        ('more.rat', '; did you mean more.rate?'),
        ('datta.area', '; did you mean data.area?'),
        ('data', ', but a group of settings'),
        ('nothing.like.it', ''),
    ],
)
def test_the_nearest_setting_is_suggested(key, suggested):
  with pytest.raises(ValueError) as error:
    rules.check(VALUES | {key: 1}, RULES, '')
  assert str(error.value) == f'{key} is no setting{suggested}'


def test_missing_settings_are_listed():
  with pytest.raises(ValueError, match='lacks x.size, x.more.rate; configs/rv'):
    rules.check({'data.rate': 1, 'data.area': (0, 1)}, RULES, 'x.')
