"""Compares an export with this project: both encode the same test videos."""

from collections.abc import Iterator

import numpy as np

from rvm_jax import streaming
from rvm_jax.ops import positions

# Largest absolute difference that any one feature may have.
TOLERANCE = 1e-4


def make_videos(
    patch: int,
    batch: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Iterator[np.ndarray]:
  """Generates test videos of random pixels in up to three frame sizes.

  The sizes are a small grid of patches, the 16 x 16 grid that RVM was trained
  on, and a larger grid. A given batch size, height or width is used for all
  three. Shapes that are then equal are generated only once: if all three
  arguments are given, there is one video.

  Args:
    patch: side of a patch in pixels.
    batch: number of videos in a batch, or None.
    height: height of the frames in pixels, or None.
    width: width of the frames in pixels, or None.

  Yields:
    Videos of two frames, uint8 [B, 2, H, W, 3].
  """
  rows, columns = positions.NATIVE_GRID
  sizes = [
      (batch or b, height or h * patch, width or w * patch)
      for b, h, w in ((2, 2, 3), (1, rows, columns), (1, rows + 2, columns + 3))
  ]
  rng = np.random.default_rng(0)
  for b, h, w in dict.fromkeys(sizes):
    yield rng.integers(0, 256, (b, 2, h, w, 3), np.uint8)


def encode(encoder: streaming.Encoder, video: np.ndarray) -> np.ndarray:
  """Returns the features that an export has to reproduce.

  Args:
    encoder: the model that is exported.
    video: uint8 [B, T, H, W, 3].

  Returns:
    float32 [B, T, 1 + N, D]: per frame the CLS vector, then one vector for each
    patch in raster order.
  """
  found = encoder(video)
  cls = found.cls[:, :, None]
  patches = found.patches.reshape(*cls.shape[:2], -1, cls.shape[-1])
  return np.concatenate([cls, patches], axis=2)


def compare(found: np.ndarray, expected: np.ndarray) -> float:
  """Compares the features of an export with those of this project.

  Args:
    found: features that the export computed, float [B, T, 1 + N, D].
    expected: features of the same video as returned by `encode`.

  Returns:
    The largest absolute difference.

  Raises:
    RuntimeError: the difference is above `TOLERANCE` or is NaN.
  """
  error = float(np.abs(found - expected).max())
  # NaN fails this comparison too.
  if not error <= TOLERANCE:
    raise RuntimeError(
        f'the export does not reproduce our features: they differ by {error},'
        f' and at most {TOLERANCE} is allowed; nothing was written'
    )
  return error
