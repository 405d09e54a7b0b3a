"""Differences of settings are listed by their nested keys."""

from rvm_jax.storage import settings


def test_differences_name_the_key_with_the_saved_and_the_new_value():
  saved = {'a': {'b': 1, 'same': [1, 2]}, 'c': 'x', 'gone': {'d': None}}
  now = {'a': {'b': 1.5, 'same': (1, 2)}, 'c': ['x'], 'new': {}}
  assert settings.list_differences(saved, now) == {
      'a.b': 'saved 1, now 1.5',
      'c': "saved 'x', now ['x']",
      'gone.d': 'saved None, now no such key',
  }
