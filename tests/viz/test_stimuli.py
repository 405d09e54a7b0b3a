"""Tests the noise square: only its motion shows it."""

import numpy as np

from rvm_jax.viz import stimuli


def test_square_moves_over_a_still_background():
  frames = stimuli.noise_square()
  assert frames.shape == (64, 512, 512, 3) and frames.dtype == np.uint8
  np.testing.assert_array_equal(frames[:, :128], frames[:1, :128].repeat(64, 0))
  np.testing.assert_array_equal(frames[:, 384:], frames[:1, 384:].repeat(64, 0))
  square = frames[0, 128:384, :256]
  for t in (1, 31, 63):
    np.testing.assert_array_equal(
        frames[t, 128:384, 4 * t : 4 * t + 256], square
    )
  # Behind the square, the background appears again.
  np.testing.assert_array_equal(
      frames[63, 128:384, :4], frames[40, 128:384, :4]
  )
  np.testing.assert_array_equal(frames, stimuli.noise_square())


def test_square_and_background_have_the_same_statistics():
  frame = np.float64(stimuli.noise_square()[32])
  inside = frame[128:384, 128:384]
  for pixels in (inside, frame):
    assert abs(pixels.mean() - 127) < 1 and abs(pixels.std() - 73.6) < 1
  # Across the square's left edge, neighbouring pixels differ as much as
  # elsewhere.
  steps = np.abs(np.diff(frame, axis=1)).mean(-1)[128:384]
  assert abs(steps[:, 127].mean() - steps.mean()) < 5


def test_square_has_half_of_any_frame_size():
  frames = stimuli.noise_square(32, 64)
  assert frames.shape == (64, 32, 64, 3)
  np.testing.assert_array_equal(frames[0, 8:24, :32], frames[62, 8:24, 31:63])
