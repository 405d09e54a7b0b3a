"""Readouts of all tasks on generated scenes, fitted in closed form.

The paper's readouts ask for points and boxes by their coordinates alone. The
features must then contain where each thing comes from, and the readout must
learn to find it there, in 40,000 steps of 32 examples. These readouts are ours.
Their inputs are:

  points, boxes, visibility   the patches of all frames that resemble those at
                              the thing's place in frame 0 (`matches.find`)
  motion, camera              the displacements of patches (`matches.follow`)
  depth                       the features and the place of each patch

`cues` computes these inputs, and `ridge` fits a regression to them. C is the
number of training clips, Q of points in a clip, P the side of a patch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses

import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.scenes import clips as clips_lib
from rvm_jax.evals.scenes import cues as cues_lib
from rvm_jax.evals.scenes import ridge
from rvm_jax.evals.scenes import scores
from rvm_jax.ops import patches as patches_lib

# Number of clips that are encoded at once.
BATCH = 16
# Huber threshold of places, as shares of the frame.
_HUBER_PLACE = 0.01
# Huber threshold of the logarithm of depth.
_HUBER_DEPTH = 0.03
# Huber threshold of the twelve numbers of a pose.
_HUBER_POSE = 0.05
# Greatest number of patches of all clips together that depth is fitted to.
_MAX_PATCHES = 60_000
# Greatest number of patches of one clip that depth is fitted to.
_MAX_PATCHES_PER_CLIP = 128

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Readouts:
  """Readouts of all tasks, fitted to the features of one encoder.

  Attributes:
    patch: P, side of a patch in pixels.
    baseline: baseline predictions, as returned by `scores.fit_baseline`.
    motion: regression from a clip's cues to the probabilities of all motions.
    pose: regression from a clip's cues to the pose of its last camera.
    points: regressions from a point's cues to its displacement from frame 0,
      one for each later frame; None for a frame in which no training clip shows
      a point.
    boxes: regressions from a box's cues to the displacement of its corners from
      frame 0, one for each later frame; None for a frame in which no training
      clip shows a box.
    visible: regression from a point's cues to whether it is visible in each
      frame after frame 0.
    depth: regression from a patch's features and place to log(depth / depth of
      the baseline) of each of its pixels.
  """

  patch: int
  baseline: Arrays
  motion: ridge.Regression
  pose: ridge.Regression
  points: Sequence[ridge.Regression | None]
  boxes: Sequence[ridge.Regression | None]
  visible: ridge.Regression
  depth: ridge.Regression


def encode(
    encoder: encoder_lib.FrozenEncoder,
    examples: Sequence[clips_lib.NamedExample],
) -> Iterator[tuple[list[Arrays], np.ndarray]]:
  """Yields B examples, without their names, and features [B, T, h, w, D]."""
  for start in range(0, len(examples), BATCH):
    batch = [example for _, example in examples[start : start + BATCH]]
    frames = np.stack([example['frames'] for example in batch])
    yield batch, encoder.encode(frames).patches


def fit(
    encoder: encoder_lib.FrozenEncoder,
    examples: Sequence[clips_lib.NamedExample],
    check: Callable[[], None] = lambda: None,
) -> Readouts:
  """Fits readouts of all tasks.

  Args:
    encoder: the frozen encoder.
    examples: the training set, clips of one shape.
    check: function that is called after each batch is encoded, and before each
      regression but that of visibility. It may raise an error to stop.
  """
  # Compute the cues and the ground truth of all clips, batch by batch.
  baseline = scores.fit_baseline(examples)
  num_patches = max(1, _MAX_PATCHES // len(examples))
  num_patches = min(_MAX_PATCHES_PER_CLIP, num_patches)
  rng = np.random.default_rng(0)
  parts = []
  for batch, features in encode(encoder, examples):
    check()
    ground_truth = _stack(batch)
    cues = cues_lib.find(batch, features) | cues_lib.sample_patches(
        rng,
        num_patches,
        features,
        ground_truth['depth'],
        baseline['depth'],
        encoder.patch,
    )
    parts.append((cues, ground_truth))
  # Join the batches: the first axis of all arrays is now C.
  cues, ground_truth = (
      {key: np.concatenate([part[key] for part in x]) for key in x[0]}
      for x in zip(*parts)
  )

  # Fit a regression for each task, with places as shares of the frame.
  size = cues_lib.get_size(examples[0].example)
  labels = np.eye(len(clips_lib.MOTIONS))[ground_truth['label']]
  boxes, visible = ground_truth['boxes'], ground_truth['visible']
  groups = np.arange(len(examples))
  check()
  motion = ridge.fit(cues['motion'], labels, groups)
  check()
  pose = ridge.fit(
      cues['motion'],
      ground_truth['pose'],
      groups,
      huber_threshold=_HUBER_POSE,
  )
  return Readouts(
      encoder.patch,
      baseline,
      motion,
      pose,
      _fit_moves(cues['points'], ground_truth['tracks'] / size, visible, check),
      _fit_moves(
          cues['boxes'],
          boxes / np.tile(size, 2),
          np.isfinite(boxes).all(-1),
          check,
      ),
      _fit_rows(cues['points'], visible[..., 1:]),
      _fit_depth(
          cues['patches'], cues['patch_depth'], cues['patch_baseline'], check
      ),
  )


def predict(
    readouts: Readouts, examples: Sequence[Arrays], features: np.ndarray
) -> list[dict[str, np.ndarray]]:
  """Predicts the ground truth of clips from their features.

  Args:
    readouts: readouts that were fitted to features of the same encoder.
    examples: B clips. Of their ground truth only the queries are used: points
      and boxes in frame 0.
    features: float [B, T, h, w, D], features of these clips.

  Returns:
    For each clip a dict of arrays of floats, which `scores` compares with the
    ground truth of `clips.SceneClips.generate`:
    'probabilities': [8], probability of each motion. They are fitted by least
    squares, so that their sum is only close to 1.
    'pose': [12], pose of the last camera relative to the first.
    'tracks': [Q, T, 2], (x, y) of points in pixels.
    'visible_probability': [Q, T], probability that a point is visible, fitted
    by least squares; 1 in frame 0.
    'visible': bool [Q, T], whether this probability is above 0.5.
    'boxes': [MAX_OBJECTS, T, 4], (x0, y0, x1, y1) in pixels.
    'depth': [T, H, W], metres.
  """
  cues, queries = cues_lib.find(examples, features), _stack(examples)
  height, width = examples[0]['frames'].shape[1:3]
  size = cues_lib.get_size(examples[0])
  first_points = queries['tracks'][:, :, :1]
  first_boxes = queries['boxes'][:, :, :1]

  # A point is visible in frame 0, in which it is asked for: [B, Q, T].
  probability = readouts.visible.predict(cues['points'])
  probability = np.concatenate(
      [np.ones_like(probability[..., :1]), probability], -1
  )

  # The regression of depth gives P * P numbers for each patch, which are the
  # pixels of log(depth / baseline): [B, T, H, W].
  log_ratio = readouts.depth.predict(cues_lib.append_places(features))
  log_ratio = patches_lib.unpatchify(
      log_ratio.reshape(*log_ratio.shape[:2], -1, log_ratio.shape[-1]),
      height,
      width,
      readouts.patch,
  )[..., 0]
  predictions = {
      'probabilities': readouts.motion.predict(cues['motion']),
      'pose': readouts.pose.predict(cues['motion']),
      'tracks': first_points
      + size * _predict_moves(readouts.points, cues['points'], 2),
      'visible_probability': probability,
      'visible': probability > 0.5,
      'boxes': first_boxes
      + np.tile(size, 2) * _predict_moves(readouts.boxes, cues['boxes'], 4),
      'depth': readouts.baseline['depth'] * np.exp(log_ratio),
  }
  return [
      {key: value[row] for key, value in predictions.items()}
      for row in range(len(examples))
  ]


def _stack(examples):
  """Stacks the ground truth of B clips to arrays [B, ...], by name."""
  keys = 'label', 'pose', 'tracks', 'visible', 'boxes', 'depth'
  return {key: np.stack([e[key] for e in examples]) for key in keys}


def _fit_rows(cues, targets, **settings):
  """Fits one regression from [C, R, F] to [C, R, K]; each clip is a group."""
  groups = np.repeat(np.arange(len(cues)), cues.shape[1])
  inputs, targets = (x.reshape(-1, x.shape[-1]) for x in (cues, targets))
  return ridge.fit(inputs, targets, groups, **settings)


def _fit_moves(cues, places, is_known, check):
  """Fits displacements from frame 0, with a regression for each later frame.

  Args:
    cues: float [C, R, F], cues of the R points or boxes of each clip.
    places: float [C, R, T, K], their K coordinates as shares of the frame.
    is_known: bool [C, R, T], False where a place is not fitted to.
    check: function that is called before each regression.

  Returns:
    T - 1 regressions; None for a frame in which no place is known.
  """
  moves = np.nan_to_num(places - places[:, :, :1])
  regressions = []
  for time in range(1, places.shape[2]):
    check()
    weights = is_known[:, :, time].ravel()
    regressions.append(
        _fit_rows(
            cues,
            moves[:, :, time],
            weights=weights,
            huber_threshold=_HUBER_PLACE,
        )
        if weights.any()
        else None
    )
  return regressions


def _predict_moves(regressions, cues, num_outputs):
  """Predicts displacements from frame 0, [B, R, T, num_outputs].

  They are 0 in frame 0, and in frames that have no regression.
  """
  still = np.zeros((*cues.shape[:2], num_outputs), np.float32)
  later = [still if r is None else r.predict(cues) for r in regressions]
  return np.stack([still, *later], 2)


def _fit_depth(patches, depth, baseline, check):
  """Fits the logarithm of the ratio between depth and baseline of each pixel.

  Where the depth of a pixel is not known (the sky), the mean logarithm of the
  patch's other pixels takes its place. Patches without any pixel of known depth
  are not fitted to.

  Args:
    patches: float [C, R, D + 2], features and places of R patches of each clip.
    depth: float [C, R, P * P], metres; 0 where it is not known.
    baseline: float [C, R, P * P], depth that the baseline predicts, in metres.
    check: function that is called before the regression.
  """
  check()
  is_known = depth > 0
  log_ratio = np.log(np.where(is_known, depth, baseline) / baseline)
  count = is_known.sum(-1, keepdims=True)
  mean = log_ratio.sum(-1, keepdims=True) / np.maximum(count, 1)
  return _fit_rows(
      patches,
      np.where(is_known, log_ratio, mean),
      weights=(count > 0).ravel(),
      huber_threshold=_HUBER_DEPTH,
  )
