"""Sizes of frames and the patches of encoders that must divide them."""

import pytest

from configs import eval_davis
from configs import eval_kinetics
from rvm_jax.evals.encoders import sizes


def get_protocol(config):
  return config.get_config().protocol.to_dict()


@pytest.mark.parametrize('resize_to_patch', [False, True])
@pytest.mark.parametrize('config', [eval_davis, eval_kinetics])
def test_sizes_that_fit_are_left_alone(config, resize_to_patch):
  protocol = get_protocol(config)
  fitted = sizes.fit(protocol, 16, resize_to_patch=resize_to_patch)
  assert fitted == protocol


def test_a_size_that_does_not_fit_is_refused_with_its_neighbours():
  with pytest.raises(ValueError) as error:
    sizes.fit(get_protocol(eval_davis), 14, resize_to_patch=False)
  assert str(error.value) == (
      'config.protocol: height=480 (nearest: 476 and 490) and width=880'
      " (nearest: 868 and 882) must be multiples of the encoder's patch side,"
      ' 14. Set them to such sides, or set config.resize_to_patch=True to take'
      ' the nearest, 476 x 882'
  )


def test_a_size_that_does_not_fit_is_resized_on_demand():
  protocol = get_protocol(eval_davis)
  fitted = sizes.fit(protocol, 14, resize_to_patch=True)
  assert fitted == protocol | {'height': 476, 'width': 882}
  assert protocol == get_protocol(eval_davis)


def test_nested_sizes_are_found():
  protocol = {'deep': {'sampling': {'height': 28, 'width': 30}}, 'height': 3}
  with pytest.raises(
      ValueError, match=r'^config.protocol.deep.sampling: heigh'
  ):
    sizes.fit(protocol, 14, resize_to_patch=False)
  assert sizes.fit(protocol, 14, resize_to_patch=True) == {
      'deep': {'sampling': {'height': 28, 'width': 28}},
      # A height without a width is no size of frames.
      'height': 3,
  }


@pytest.mark.parametrize('side, nearest', [(1, 8), (11, 8), (12, 16), (13, 16)])
def test_the_nearest_side_is_never_0_and_of_two_the_larger(side, nearest):
  protocol = {'height': side, 'width': 16}
  fitted = sizes.fit(protocol, 8, resize_to_patch=True)
  assert fitted == {'height': nearest, 'width': 16}
