"""Which arrays of a training checkpoint are taken."""

import numpy as np

from rvm_jax.baselines import reading
from rvm_jax.baselines import selection

SPEC = reading.Spec((3,), 'float32')


def select(keys):
  """Selects among arrays; each of them reads as its key."""
  arrays = reading.Arrays('file', dict.fromkeys(keys, SPEC), lambda key: key)
  selected = selection.select_model(arrays)
  return {key: selected.read(key) for key in selected.specs}


def test_select_model_takes_the_target_encoder():
  assert select(
      ['encoder/module.a', 'opt/state/0/m', 'target_encoder/module.backbone.a']
  ) == {'a': 'target_encoder/module.backbone.a'}


def test_select_model_takes_arrays_outside_of_dicts():
  assert select(['encoder.a', 'module.module.b']) == {
      'encoder.a': 'encoder.a',
      'b': 'module.module.b',
  }


def test_select_model_keeps_shapes_and_logs_what_it_leaves_out(monkeypatch):
  messages = []
  monkeypatch.setattr(
      'absl.logging.info', lambda text, *args: messages.append(text % args)
  )
  specs = {'model/a': reading.Spec((2, 2), 'float32'), 'optimizer/b': SPEC}
  arrays = reading.Arrays('file', specs, lambda _: np.zeros(1))
  assert selection.select_model(arrays).specs == {
      'a': reading.Spec((2, 2), 'float32')
  }
  assert "'model'" in messages[0]
  assert 'dropped 1 arrays' in messages[1] and 'optimizer/b' in messages[1]
