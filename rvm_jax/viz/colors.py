"""Colours for categories and for amounts."""

import numpy as np

# Colours of categories such as clusters, objects or joints. The first seven are
# those of Okabe and Ito, which colour-blind people can tell apart.
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

# Seven points of matplotlib's colour map "inferno", from dark to bright.
_INFERNO = np.array(
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
  """Maps amounts to colours from black (0) to pale yellow.

  Args:
    amounts: float [...], at least 0.
    full: amount above 0 that gets the brightest colour, as do all larger ones.

  Returns:
    uint8 [..., 3], RGB.
  """
  position = np.clip(amounts / full, 0, 1) * (len(_INFERNO) - 1)
  points = np.arange(len(_INFERNO))
  channels = [np.interp(position, points, channel) for channel in _INFERNO.T]
  return np.rint(np.stack(channels, -1)).astype(np.uint8)


def to_bytes(pixels: np.ndarray) -> np.ndarray:
  """Converts pixels to uint8, rounded.

  Args:
    pixels: float [...]; values are clipped to [0, 1].

  Returns:
    uint8 [...], 0 to 255.
  """
  return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
