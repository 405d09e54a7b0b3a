"""Colours: for kinds of things, and for amounts."""

import numpy as np

# Okabe and Ito's colours, which colour-blind people tell apart, then others.
KINDS = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
        (128, 60, 200),
        (160, 230, 40),
        (255, 80, 80),
        (120, 90, 40),
        (0, 220, 220),
    ],
    np.uint8,
)

# From nothing to much, ever brighter, as matplotlib's "inferno" goes.
_AMOUNTS = np.array(
    [
        (0, 0, 4),
        (50, 10, 94),
        (120, 28, 109),
        (187, 55, 84),
        (237, 105, 37),
        (252, 181, 25),
        (252, 255, 164),
    ]
)


def paint_amounts(amounts: np.ndarray, full: float) -> np.ndarray:
  """Turns amounts into colours from black to pale yellow.

  Args:
    amounts: float [...], at least 0.
    full: from here on the brightest colour, above 0.

  Returns:
    uint8 [..., 3].
  """
  place = np.clip(amounts / full, 0, 1) * (len(_AMOUNTS) - 1)
  steps = np.arange(len(_AMOUNTS))
  channels = [np.interp(place, steps, channel) for channel in _AMOUNTS.T]
  return np.rint(np.stack(channels, -1)).astype(np.uint8)


def to_bytes(pixels: np.ndarray) -> np.ndarray:
  """Floats, cut to [0, 1], as uint8 from 0 to 255."""
  return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
