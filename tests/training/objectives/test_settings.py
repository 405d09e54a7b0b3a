"""Rules and checks that objectives share; each objective tests its own."""

import pytest

from rvm_jax.training.objectives import settings
from tests.training.objectives import tiny_rivals


def test_a_part_whose_heads_do_not_fit_is_named():
  config = tiny_rivals.get_config('siammae', **{'model.decoder_heads': 5})
  rules = settings.ENCODER | settings.DECODER
  settings.check_model(config, rules, {'encoder': 'width'})
  message = 'decoder_heads=5 must divide config.model.decoder_width=16'
  with pytest.raises(ValueError, match=message):
    settings.check_model(config, rules, {'decoder': 'decoder_width'})


def test_a_value_that_an_objective_does_not_take_says_why():
  config = tiny_rivals.get_config('vjepa')
  settings.check_is(config, 'num_target', 1, 'is so')
  message = "num_target=1 must be 2: config.objective='vjepa' is so"
  with pytest.raises(ValueError, match=message):
    settings.check_is(config, 'num_target', 2, 'is so')
