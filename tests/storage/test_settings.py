"""Only what differs is said, by its whole name."""

from rvm_jax.storage import settings


def test_says_what_was_and_what_is():
  saved = {'a': {'b': 1, 'same': [1, 2]}, 'c': 'x', 'gone': {'d': None}}
  now = {'a': {'b': 1.5, 'same': (1, 2)}, 'c': ['x'], 'new': {}}
  assert settings.list_differences(saved, now) == {
      'a.b': 'saved 1, now 1.5',
      'c': "saved 'x', now ['x']",
      'gone.d': 'saved None, now no such key',
  }
