import pytest

from rvm_jax.models import parameters
from rvm_jax.models import rvm
from rvm_jax.weights import released
from rvm_jax.weights import trees


@pytest.mark.parametrize('size', rvm.SIZES)
def test_name_axes_gives_axes_of_one_name_one_size(size):
  model = rvm.RVM(**rvm.SIZES[size])
  sizes = {}
  for path, shape in trees.flatten(released.shapes(model)).items():
    names = parameters.name_axes(path)
    assert len(names) == len(shape.shape), path
    for name, length in zip(names, shape.shape):
      # Widths are one for the whole model; heads and hidden units, for a part.
      part = '' if name and name.endswith('embed') else path.split('/')[0]
      sizes.setdefault((part, name), set()).add(length)
  assert sizes['', 'embed'] == sizes['', 'core_embed'] == {model.width}
  assert sizes['', 'decoder_embed'] == {model.decoder_width}
  for part, prefix in (
      ('encoder', 'encoder'),
      ('rnn_core', 'core'),
      ('decoder', 'decoder'),
  ):
    assert sizes[part, 'heads'] == {getattr(model, f'{prefix}_heads')}
    assert sizes[part, 'mlp'] == {getattr(model, f'{prefix}_mlp')}
  with pytest.raises(ValueError, match='no parameter with the path head/bias'):
    parameters.name_axes('head/bias')


def test_is_core_holds_for_the_recurrent_core_alone():
  paths = trees.flatten(released.shapes(rvm.RVM(**rvm.SIZES['S'])))
  core = {path.split('/')[0] for path in paths if parameters.is_core(path)}
  others = {
      path.split('/')[0] for path in paths if not parameters.is_core(path)
  }
  assert core == {'rnn_core'} and 'rnn_core' not in others
