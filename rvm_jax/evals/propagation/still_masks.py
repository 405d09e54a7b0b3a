"""Masks that stay: the baseline that repeats the masks of the first frame.

It ignores the rest of the video. There are two kinds of these masks. At full
resolution, their score says how much a data set gives for objects that hardly
move. On the grid of patches, they are converted to soft labels and back, as
predictions are, which rounds off their outlines. Their score is then that of
label propagation that finds, for each patch, only the patch at the same place.
"""

from collections.abc import Mapping

import numpy as np

from rvm_jax.evals.propagation import masks as masks_lib

# The two kinds in words, by the prefix of the names of their scores.
KINDS = {
    'stay': 'masks that stay',
    'stay_grid': 'masks that stay, on the grid',
}


def repeat(
    mask: np.ndarray,
    label_map: np.ndarray,
    size: tuple[int, int],
    grid: tuple[int, int],
    num_frames: int,
) -> dict[str, np.ndarray]:
  """Repeats the mask of the first frame in all frames of a video.

  Args:
    mask: int [H, W], the number of the object in each pixel of the first frame.
    label_map: int [L], the numbers of the objects that are propagated,
      including that of the background. A pixel with another number gets the
      first number in `label_map`, as in a prediction.
    size: height and width in pixels of the frames that an encoder gets.
    grid: h and w, the rows and columns of patches.
    num_frames: number of frames of the video, T.

  Returns:
    Masks by the names of `KINDS`, [T, H, W], with the dtype of `label_map`:
    'stay' at full resolution, and 'stay_grid' turned into soft labels of the
    patches and back, as a prediction is.
  """
  full = np.where(np.isin(mask, label_map), mask, label_map[0])
  soft = masks_lib.encode(mask, label_map, size, grid)
  (coarse,) = masks_lib.decode(soft[None], label_map, size, mask.shape)
  return {
      name: np.broadcast_to(x.astype(label_map.dtype), (num_frames, *x.shape))
      for name, x in zip(KINDS, (full, coarse), strict=True)
  }


def tabulate(scores: Mapping[str, float], name: str, text: str) -> list[str]:
  """Returns the lines of a table for the terminal.

  Args:
    scores: scores by name. The score `name` of the two kinds of this baseline
      is under `stay_NAME` and `stay_grid_NAME`.
    name: name of the score to show.
    text: the score in words, with the unit.
  """
  rows = {f'propagated masks, {text}': scores[name]}
  rows |= {kind: scores[f'{key}_{name}'] for key, kind in KINDS.items()}
  return [f'{row:36s} {score:6.1f}' for row, score in rows.items()]
