"""Tests fitting frame sizes to multiples of the patch side."""

import pytest

from configs import eval_davis
from configs import eval_kinetics
from rvm_jax.evals.encoders import sizes


def get_protocol(config):
  return config.get_config().protocol.to_dict()


@pytest.mark.parametrize('resize_to_patch', [False, True])
@pytest.mark.parametrize('config', [eval_davis, eval_kinetics])
def test_fit_keeps_sizes_that_are_multiples(config, resize_to_patch):
  protocol = get_protocol(config)
  fitted = sizes.fit(protocol, 16, resize_to_patch=resize_to_patch)
  assert fitted == protocol


def test_fit_rejects_other_sizes_and_names_the_nearest_multiples():
  with pytest.raises(ValueError) as error:
    sizes.fit(get_protocol(eval_davis), 14, resize_to_patch=False)
  assert str(error.value) == (
      'config.protocol: height=480 (nearest: 476 and 490) and width=880'
      " (nearest: 868 and 882) must be multiples of the encoder's patch side,"
      ' 14. Set them to such sides, or set config.resize_to_patch=True to take'
      ' the nearest, 476 x 882'
  )


def test_fit_replaces_other_sizes_if_resize_to_patch_is_set():
  protocol = get_protocol(eval_davis)
  fitted = sizes.fit(protocol, 14, resize_to_patch=True)
  assert fitted == protocol | {'height': 476, 'width': 882}
  assert protocol == get_protocol(eval_davis)


def test_fit_finds_sizes_in_nested_settings():
  protocol = {'deep': {'sampling': {'height': 28, 'width': 30}}, 'height': 3}
  with pytest.raises(
      ValueError, match=r'^config.protocol.deep.sampling: heigh'
  ):
    sizes.fit(protocol, 14, resize_to_patch=False)
  assert sizes.fit(protocol, 14, resize_to_patch=True) == {
      'deep': {'sampling': {'height': 28, 'width': 28}},
      # A height without a width is not a frame size.
      'height': 3,
  }


@pytest.mark.parametrize('side, nearest', [(1, 8), (11, 8), (12, 16), (13, 16)])
def test_fit_takes_the_nearest_positive_multiple_or_the_larger_of_two(
    side, nearest
):
  protocol = {'height': side, 'width': 16}
  fitted = sizes.fit(protocol, 8, resize_to_patch=True)
  assert fitted == {'height': nearest, 'width': 16}


@pytest.mark.parametrize('side', [0, -14])
def test_fit_rejects_sizes_below_1(side):
  with pytest.raises(
      ValueError, match=f'clips.width={side} must be at least 1'
  ):
    sizes.fit(
        {'clips': {'height': 14, 'width': side}}, 14, resize_to_patch=True
    )
