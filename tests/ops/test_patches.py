"""Images and videos are cut into patches and tubelets, and put together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops import patches


def test_unpatchify_inverts_patchify():
  images = np.random.default_rng(0).random((2, 3, 32, 48, 3))
  cut = patches.patchify(images, 16)
  assert cut.shape == (2, 3, 6, 768)
  np.testing.assert_array_equal(patches.unpatchify(cut, 32, 48, 16), images)


def test_unpatchify_takes_any_number_of_channels():
  images = np.random.default_rng(0).random((32, 48, 5))
  cut = patches.patchify(images, 16)
  np.testing.assert_array_equal(patches.unpatchify(cut, 32, 48, 16), images)


def test_patchify_gives_patches_in_raster_order():
  images = np.random.default_rng(0).random((32, 48, 3))
  cut = patches.patchify(images, 16)
  np.testing.assert_array_equal(cut[4], images[16:, 16:32].reshape(-1))


@pytest.mark.parametrize('dtype', ['uint8', 'bfloat16', 'float32'])
def test_patchify_of_device_arrays_keeps_values_and_dtype(dtype):
  images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 48, 3), 'uint8')
  images = images.astype(dtype)
  cut = jax.jit(patches.patchify, static_argnums=1)(jnp.asarray(images), 16)
  assert cut.dtype == dtype
  np.testing.assert_array_equal(cut, patches.patchify(images, 16))


@pytest.mark.parametrize('patch', [16, 14, 2])
def test_patches_that_a_convolution_selects_equal_those_of_transposes(patch):
  # All values, in one image.
  images = np.arange(2 * 3 * patch * 2 * patch * 3).astype('uint8')
  images = jnp.asarray(images.reshape(2, 3 * patch, 2 * patch, 3))
  selected = patches._select(images, patch)
  assert selected.dtype == np.uint8
  np.testing.assert_array_equal(selected, patches._transpose(images, patch))


def test_only_programs_for_a_tpu_cut_images_with_a_convolution():
  def lower(platform):
    frames = jax.ShapeDtypeStruct((2, 4, 32, 48, 3), 'uint8')
    traced = jax.jit(lambda x: patches.patchify(x, 16)).trace(frames)
    return traced.lower(lowering_platforms=(platform,)).as_text()

  assert 'stablehlo.convolution' in lower('tpu')
  assert 'stablehlo.convolution' not in lower('cpu') + lower('cuda')


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


@pytest.mark.parametrize('dtype', ['uint8', 'float32'])
def test_tubelets_hold_one_place_in_several_frames(dtype):
  frames = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 24, 3))
  frames = jnp.asarray(frames, dtype)
  cut = patches.tubelets(frames, 8, 2)
  assert cut.shape == (2, 2, 6, 2 * 8 * 8 * 3) and cut.dtype == dtype
  np.testing.assert_array_equal(
      cut[1, 1, 4], frames[1, 2:, 8:, 8:16].reshape(-1)
  )
  np.testing.assert_array_equal(patches.untubelets(cut, 16, 24, 8, 2), frames)


def test_tubelets_refuse_a_part_of_one():
  with pytest.raises(ValueError, match='positive multiple of 2, got 3'):
    patches.tubelets(np.zeros((1, 3, 8, 8, 3)), 8, 2)


def test_take_and_put_reach_the_same_places():
  x = jnp.arange(2.0 * 3 * 5 * 2).reshape(2, 3, 5, 2)
  index = jnp.array([[0, 3], [4, 1]])
  taken = patches.take(x, index)
  assert taken.shape == (2, 6, 2)
  np.testing.assert_array_equal(taken[1, 2:4], x[1, 1, [4, 1]])
  np.testing.assert_array_equal(patches.put(x, index, taken), x)
  changed = patches.put(x, index, 0 * taken)
  assert (changed[0, :, [0, 3]] == 0).all()
  np.testing.assert_array_equal(changed[0, :, 4], x[0, :, 4])


def test_take_of_one_table_serves_all_videos():
  table = jnp.arange(6.0).reshape(1, 2, 3, 1)
  found = patches.take(table, jnp.array([[0], [2]]))
  np.testing.assert_array_equal(found[..., 0], [[0, 3], [2, 5]])
