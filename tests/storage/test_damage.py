"""Errors of damaged files become one line."""

import logging

import pytest

from rvm_jax.storage import damage

TENSORSTORE = (
    'RESOURCE_EXHAUSTED: Error writing "params.k/0.0" in OCDBT database at'
    ' local file "/tmp/run/checkpoints/8/state/": Failed writing:'
    ' "/tmp/run/checkpoints/8/state/d/0fc1": No space left on device'
    " [os_error_code='28'] [tensorstore_spec='{\\\"context\\\":{}}']"
)


@pytest.mark.parametrize(
    'error, line',
    [
        (
            ValueError(TENSORSTORE),
            (
                'RESOURCE_EXHAUSTED: Error writing "params.k/0.0": Failed'
                ' writing: "0fc1": No space left on device'
            ),
        ),
        (KeyError('arrays'), "KeyError 'arrays'"),
        (AssertionError(), 'AssertionError'),
        (ValueError('a\n  b'), 'a b'),
    ],
)
def test_summarize_leaves_what_is_wrong(error, line):
  assert damage.summarize(error) == line


def test_summarize_keeps_beginning_and_end_of_a_long_message():
  line = damage.summarize(ValueError('begin ' + 'x' * 999 + ' end'))
  assert line.startswith('begin ') and line.endswith(' end')
  assert len(line) < 320


def test_naming_names_the_path_of_what_cannot_be_read():
  for error in (KeyError('a'), OSError('a'), TypeError('a')):
    with pytest.raises(damage.DamagedError, match='^x is damaged: ') as caught:
      with damage.Naming('x'):
        raise error
    assert 'a' in caught.value.reason


def test_naming_takes_the_cause_of_a_bare_exception():
  with pytest.raises(damage.DamagedError, match='^x is damaged: it broke$'):
    with damage.Naming('x'):
      try:
        raise ValueError('it broke')
      except ValueError as error:
        raise Exception('pages of settings') from error


def test_naming_leaves_other_errors_and_nested_ones_alone():
  for error in (MemoryError(), RuntimeError('device'), KeyboardInterrupt()):
    with pytest.raises(type(error)), damage.Naming('x'):
      raise error
  with pytest.raises(damage.DamagedError, match='^inner is damaged: bad$'):
    with damage.Naming('outer'):
      raise damage.DamagedError('inner', 'bad')


def test_drop_repeated_drops_only_what_is_raised_as_well(caplog):
  damage.drop_repeated()
  logger = logging.getLogger('asyncio')
  with caplog.at_level(logging.ERROR, logger='asyncio'):
    logger.error('Task exception was never retrieved [tensorstore_spec=')
    logger.error('something else')
  assert [record.getMessage() for record in caplog.records] == [
      'something else'
  ]


def test_name_keys_counts_those_that_are_left_out():
  assert damage.name_keys(['a', 'b', 'c']) == 'a, b, c'
  assert damage.name_keys(list('abcde')) == 'a, b, c and 2 more'
