"""Generated videos that ask a model a question."""

import numpy as np

NUM_FRAMES = 64


def noise_square(height: int = 512, width: int = 512) -> np.ndarray:
  """Noise that moves over noise: a figure visible only by its motion.

  A square (half as high and wide as the frame) of random pixels travels from
  the left edge to the right one, at half height, over a background of random
  pixels that stays. No single frame shows where it is.

  Args:
    height, width: in pixels; 512 in the RVM paper's figure, where the square
      moves by four pixels a frame.

  Returns:
    uint8 [64, height, width, 3], always the same.
  """
  rng = np.random.default_rng(0)
  draw = lambda *size: (rng.uniform(size=(*size, 3)) * 255).astype(np.uint8)
  square = draw(height // 2, width // 2)
  frames = np.repeat(draw(height, width)[None], NUM_FRAMES, 0)
  top = height // 4
  for t, frame in enumerate(frames):
    left = t * (width // 2) // NUM_FRAMES
    frame[top : top + height // 2, left : left + width // 2] = square
  return frames
