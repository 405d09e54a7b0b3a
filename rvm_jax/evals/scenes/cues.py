"""Cues: the inputs of the readouts, computed from the features of clips.

There are cues of a clip, of its points, of its boxes and of its patches. Q is
the number of points in a clip, O the number of boxes, P the side of a patch.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rvm_jax.evals.scenes import matches
from rvm_jax.ops import patches as patches_lib

Arrays = Mapping[str, np.ndarray]


def find(
    examples: Sequence[Arrays], features: np.ndarray
) -> dict[str, np.ndarray]:
  """Computes the cues of clips, and of their points and boxes.

  Args:
    examples: B clips. Of their ground truth only the queries are used: points
      and boxes in frame 0.
    features: float [B, T, h, w, D], features of these clips.

  Returns:
    'motion': float32 [B, F], the F displacements that `matches.follow` returns.
    'points': float32 [B, Q, T * 14 + 2], for each point the 14 numbers that
      `matches.find` returns for each frame, and the point (x, y) in frame 0 as
      shares of the frame's width and height.
    'boxes': float32 [B, O, T * 14 + 4], for each box the numbers that
      `matches.find` returns, and the box (x0, y0, x1, y1) in frame 0 as shares.
      An object without a box in frame 0 counts as a box of size 0 at (0, 0).
  """
  grid, size = features.shape[2:4], get_size(examples[0])
  points = np.stack([e['tracks'][:, 0] for e in examples]) / size
  boxes = np.stack([e['boxes'][:, 0] for e in examples])
  boxes = np.nan_to_num(boxes) / np.tile(size, 2)
  cues = {'motion': np.asarray(matches.follow(features))}
  for name, places, queries in (
      ('points', points, matches.share_points(points, grid)),
      ('boxes', boxes, matches.share_boxes(boxes, grid)),
  ):
    found = np.asarray(matches.find(features, queries))  # [B, Q, T, 14]
    found = found.reshape(*found.shape[:2], -1)
    cues[name] = np.concatenate([found, places], -1, dtype=np.float32)
  return cues


def sample_patches(
    rng: np.random.Generator,
    num_patches: int,
    features: np.ndarray,
    depth: np.ndarray,
    baseline: np.ndarray,
    patch: int,
) -> dict[str, np.ndarray]:
  """Samples the patches of each clip that the readout of depth is fitted to.

  Args:
    rng: source of randomness.
    num_patches: R, number of patches to sample from all frames of a clip. If a
      clip has fewer patches, R is their number.
    features: float [B, T, h, w, D], features of the clips.
    depth: float [B, T, H, W], true depth in metres.
    baseline: float [H, W], depth that the baseline predicts, in metres.
    patch: P, side of a patch in pixels.

  Returns:
    'patches': float [B, R, D + 2], features and places, as `append_places`
      returns them.
    'patch_depth': float [B, R, P * P], depth of the patches' pixels.
    'patch_baseline': float [B, R, P * P], baseline of the patches' pixels.
  """
  # Choose R of the T * N patches of each clip, without repetition.
  batch, total = len(features), np.prod(features.shape[1:4])
  chosen = rng.permuted(np.tile(np.arange(total), (batch, 1)), axis=1)
  chosen = chosen[:, :num_patches, None]  # [B, R, 1]

  # Cut depth and baseline into patches, and take those that are chosen.
  depth = patches_lib.patchify(depth[..., None], patch)  # [B, T, N, P * P]
  baseline = patches_lib.patchify(baseline[..., None], patch)  # [N, P * P]
  return {
      key: np.take_along_axis(x.reshape(batch, total, -1), chosen, 1)
      for key, x in (
          ('patches', append_places(features)),
          ('patch_depth', depth),
          ('patch_baseline', np.broadcast_to(baseline, depth.shape)),
      )
  }


def append_places(features: np.ndarray) -> np.ndarray:
  """Appends the place (x, y) of each patch in the frame to its features.

  Args:
    features: float [B, T, h, w, D].

  Returns:
    float [B, T, h, w, D + 2]. Places run from -1 in the first column or row of
    patches to 1 in the last.
  """
  rows, columns = (
      np.linspace(-1, 1, count, dtype=np.float32)
      for count in features.shape[2:4]
  )
  places = np.stack(np.meshgrid(columns, rows), -1)
  places = np.broadcast_to(places, (*features.shape[:4], 2))
  return np.concatenate([features, places], -1)


def get_size(example: Arrays) -> np.ndarray:
  """Returns width and height of a clip's frames in pixels, float32 [2]."""
  return np.array(example['frames'].shape[2:0:-1], np.float32)
