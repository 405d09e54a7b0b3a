"""Generated videos that show what a model can see."""

import numpy as np

# Frames of the noise square, and the default of the gallery's --num_frames.
NUM_FRAMES = 64


def noise_square(height: int = 512, width: int = 512) -> np.ndarray:
  """Generates a square of noise that moves over noise.

  The square has half the frame's height and width. It consists of random
  pixels and travels at half height from the left edge to the right one, over a
  still background of other random pixels. No single frame shows where it is:
  only its motion does. In the RVM paper's figure the frame has 512 x 512 pixels
  and the square moves by four pixels a frame.

  Args:
    height: height of the frame in pixels.
    width: width of the frame in pixels.

  Returns:
    uint8 [64, height, width, 3], the same at each call.
  """
  rng = np.random.default_rng(0)
  square_height, square_width = height // 2, width // 2
  square = _sample_noise(rng, square_height, square_width)
  background = _sample_noise(rng, height, width)
  frames = np.repeat(background[None], NUM_FRAMES, 0)
  top = height // 4
  for t, frame in enumerate(frames):
    left = t * square_width // NUM_FRAMES
    frame[top : top + square_height, left : left + square_width] = square
  return frames


def _sample_noise(rng, height, width):
  return (rng.uniform(size=(height, width, 3)) * 255).astype(np.uint8)
