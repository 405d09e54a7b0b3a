import numpy as np
import pytest

from rvm_jax.ops import patches


def test_unpatchify_inverts_patchify():
  images = np.random.default_rng(0).random((2, 3, 32, 48, 3))
  cut = patches.patchify(images, 16)
  assert cut.shape == (2, 3, 6, 768)
  np.testing.assert_array_equal(patches.unpatchify(cut, 32, 48, 16), images)


def test_patchify_gives_patches_in_raster_order():
  images = np.random.default_rng(0).random((32, 48, 3))
  cut = patches.patchify(images, 16)
  np.testing.assert_array_equal(cut[4], images[16:, 16:32].reshape(-1))


@pytest.mark.parametrize('height, width', [(30, 32), (32, 33), (0, 16)])
def test_patchify_refuses_remainders(height, width):
  with pytest.raises(ValueError, match='multiple of the patch side 16'):
    patches.patchify(np.zeros((height, width, 3)), 16)


@pytest.mark.parametrize(
    'side, nearest',
    [(250, '240 or 256'), (17, '16 or 32'), (7, '16'), (0, '16')],
)
def test_grid_names_the_nearest_multiples(side, nearest):
  assert patches.grid(32, 48, 16) == (2, 3)
  with pytest.raises(ValueError, match=f'width .* got {side}; take {nearest}$'):
    patches.grid(32, side, 16)
