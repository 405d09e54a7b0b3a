"""Features of rivals against a few lines of NumPy.

The models of these tests return the mean colours of patches.
"""

import numpy as np
from PIL import Image
import pytest

from rvm_jax.baselines import features
from tests.baselines import tiny_rivals

RNG = np.random.default_rng(0)
# Ten rows and 13 columns of pixels: 2 x 3 patches of 4 x 4, and a rest.
FRAMES = RNG.integers(0, 256, (2, 4, 10, 13, 3), np.uint8)
IMAGE, CLIP = tiny_rivals.ImageMeans(), tiny_rivals.ClipMeans()
ALL = np.ones((2, 4), bool)


def scale(frames):
  """Scales colours as ImageNet models expect them."""
  mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
  return (frames / 255 - np.array(mean)) / np.array(deviation)


def encode(module, frames=FRAMES, is_real=ALL, variant='released'):
  return features.encode(module, {}, frames, is_real, variant)


def test_released_features_are_of_the_cropped_frame_without_prefix_tokens():
  found = encode(IMAGE)
  expected = tiny_rivals.average_patches(scale(FRAMES))
  assert found.patches.shape == (2, 4, 2, 3, 3)
  np.testing.assert_allclose(found.patches, expected, atol=1e-5)
  np.testing.assert_array_equal(found.cls, np.ones((2, 4, 3)))


def test_fair_features_see_the_whole_frame():
  bordered = FRAMES.copy()
  bordered[:, :, 8:], bordered[..., 12:, :] = 255, 255
  same = encode(IMAGE).patches - encode(IMAGE, bordered).patches
  assert not np.any(same)
  before, after = (
      encode(IMAGE, frames, variant='fair').patches
      for frames in (FRAMES, bordered)
  )
  assert np.all(np.abs(after - before)[:, :, -1].max(-1) > 0.1)
  # The mean colour of the frame stays: nothing is cut off.
  plain = np.full_like(FRAMES, 100)
  found = encode(IMAGE, plain, variant='fair').patches
  expected = np.broadcast_to(scale(plain)[0, 0, 0, 0], found.shape)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_fair_frames_are_resized_with_an_antialiased_bicubic_filter():
  # Rows are equal, so that Pillow rounds and clips in one direction alone.
  row = 255 * RNG.integers(0, 2, (13, 3), np.uint8)
  frame = np.broadcast_to(row, (10, 13, 3))
  small = Image.fromarray(frame).resize((12, 8), Image.Resampling.BICUBIC)
  frames = np.broadcast_to(frame, (2, 4, *frame.shape))
  found = encode(IMAGE, frames, variant='fair').patches
  expected = tiny_rivals.average_patches(scale(np.asarray(small)))
  np.testing.assert_allclose(found[1, 2], expected, atol=0.01)


@pytest.mark.parametrize('module', [IMAGE, CLIP])
def test_variants_agree_on_whole_patches_and_whole_clips(module):
  frames = FRAMES[:, :, :8, :12]
  released, fair = (
      encode(module, frames, variant=variant).patches
      for variant in features.VARIANTS
  )
  np.testing.assert_array_equal(released, fair)


def test_tokens_of_two_frames_are_interpolated_within_the_clip():
  found = encode(CLIP)
  assert found.cls is None
  first, second = np.moveaxis(
      tiny_rivals.average_patches(scale(FRAMES))
      .reshape(2, 2, 2, 2, 3, 3)
      .mean(2),
      1,
      0,
  )
  expected = np.stack(
      [
          first,
          0.75 * first + 0.25 * second,
          0.25 * first + 0.75 * second,
          second,
      ],
      1,
  )
  np.testing.assert_allclose(found.patches, expected, atol=1e-5)


def test_released_padding_is_zero_after_the_colours_are_scaled():
  is_real = np.arange(4) < np.array([[3], [2]])
  # The pixels of the padding do not matter. Here it repeats a frame.
  found = encode(CLIP, is_real=is_real).patches[:, 3]
  scaled = tiny_rivals.average_patches(scale(FRAMES))
  np.testing.assert_allclose(found[0], scaled[0, 2] / 2, atol=1e-5)
  np.testing.assert_allclose(found[1], 0, atol=1e-5)


def test_fair_padding_is_taken_as_it_is():
  padded = FRAMES.copy()
  padded[:, 3] = padded[:, 2]
  is_real = np.arange(4)[None] < np.array([[3], [3]])
  small = padded[:, :, :8, :12]
  found = encode(CLIP, small, is_real, 'fair').patches[:, 3]
  scaled = tiny_rivals.average_patches(scale(small))
  np.testing.assert_allclose(found, scaled[:, 2], atol=1e-5)


def test_frames_smaller_than_a_patch_are_refused():
  with pytest.raises(ValueError, match='3 x 13 pixels are smaller.* 4 x 4'):
    encode(IMAGE, FRAMES[:, :, :3])


def test_clips_have_16_frames_at_most():
  assert features.clip_length(IMAGE) is None
  assert features.clip_length(CLIP) == 4
  assert features.clip_length(CLIP.clone(num_frames=64)) == 16


def test_names_tell_sizes_registers_and_variants():
  large = CLIP.clone(width=1024, depth=24)
  assert features.name(large) == 'VideoMAE-L'
  assert features.name(large, 'fair') == 'VideoMAE-L fair'
  assert features.name(CLIP) == 'VideoMAE 3 wide'
  assert features.name(IMAGE) == 'DINOv2 3 wide with registers'


def test_descriptions_tell_variants_apart():
  texts = {
      features.describe(module, variant)
      for module in (IMAGE, CLIP)
      for variant in features.VARIANTS
  }
  assert len(texts) == 4
  assert 'clips of 4 frames' in features.describe(CLIP, 'released')
