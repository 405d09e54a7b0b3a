"""What can be read off features of generated scenes, in closed form.

The paper's readouts ask for points and boxes by their coordinates alone. The
features must then contain where each thing comes from, and the readout must
learn to find it there, in 40,000 steps of 32 examples. These readouts are ours:

  points, boxes, visibility   Patches like those at a thing's place in frame 0
                              are looked for in all frames (`matches`), and
                              a regression says what to make of the result. How
                              well that works depends on whether the features of
                              a thing agree over time.
  motion, camera              a regression on where patches go (`matches`)
  depth                       a regression on each patch's features and place

All regressions are those of `ridge`; `cues` makes their inputs.
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

# Clips that are encoded at once.
BATCH = 16
# Errors beyond these count linearly: of places as shares of the frame, of the
# logarithm of depth, and of a camera's twelve numbers.
_HUBER_PLACE = 0.01
_HUBER_DEPTH = 0.03
_HUBER_POSE = 0.05
# Depth is fitted to so many patches of all clips, and of one clip.
_MAX_PATCHES = 60_000
_MAX_PATCHES_PER_CLIP = 128

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Readouts:
  """Readouts of all tasks, fitted to one encoder.

  Attributes:
    patch: side of a patch in pixels.
    baseline: baseline predictions, as returned by `scores.fit_baseline`.
    motion: displacements of patches to the probabilities of all motions.
    pose: displacements of patches to the camera's pose.
    points: for each frame but the first, a point's cues to its displacement
      from frame 0; None for a frame in which no training clip shows a point.
    boxes: the same for the corners of boxes.
    visible: a point's cues to its visibility in all frames but the first.
    depth: a patch's features and place to the logarithms of the ratios between
      its pixels' depths and the baseline's.
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
  """Yields B examples without their names, and features [B, T, h, w, D]."""
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
    check: function that is called before each regression and each batch of
      clips, and may raise to stop.
  """
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
  # Arrays over all clips, with a leading axis C.
  cues, ground_truth = (
      {key: np.concatenate([part[key] for part in x]) for key in x[0]}
      for x in zip(*parts)
  )
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
  """Predicts what clips show, for each as `scores` takes it.

  Args:
    readouts: readouts that were fitted to the same encoder.
    examples: B clips. Of their ground truth only the queries are used: points
      and boxes in frame 0.
    features: [B, T, h, w, D], features of these clips.

  Returns:
    For each clip a dict:
    'probabilities': [8] of the motions, from least squares, so that their sum
      is only close to 1.
    'pose': [12], from the first camera to the last.
    'tracks': [P, T, 2] in pixels.
    'visible_probability': [P, T], from least squares too; 1 in frame 0.
    'visible': bool [P, T], whether this probability is above 0.5.
    'boxes': [MAX_OBJECTS, T, 4] in pixels.
    'depth': [T, H, W] in metres.
  """
  cues, queries = cues_lib.find(examples, features), _stack(examples)
  height, width = examples[0]['frames'].shape[1:3]
  size = cues_lib.get_size(examples[0])
  first_points = queries['tracks'][:, :, :1]
  first_boxes = queries['boxes'][:, :, :1]
  # Frame 0, in which a point is asked for, shows it: [B, P, T].
  probability = readouts.visible.predict(cues['points'])
  probability = np.concatenate(
      [np.ones_like(probability[..., :1]), probability], -1
  )
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
  """Returns the ground truth of some clips as arrays with a batch axis."""
  keys = 'label', 'pose', 'tracks', 'visible', 'boxes', 'depth'
  return {key: np.stack([e[key] for e in examples]) for key in keys}


def _fit_rows(cues, targets, **settings):
  """Fits [B, Q, F] to [B, Q, K]; the rows of a clip are a group."""
  groups = np.repeat(np.arange(len(cues)), cues.shape[1])
  inputs, targets = (x.reshape(-1, x.shape[-1]) for x in (cues, targets))
  return ridge.fit(inputs, targets, groups, **settings)


def _fit_moves(cues, places, is_known, check):
  """Fits displacements from frame 0, a regression for each later frame.

  Args:
    cues: float [B, Q, F], of points or boxes.
    places: float [B, Q, T, K], as shares of the frame.
    is_known: bool [B, Q, T], False where a place does not count.
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
  """Predicts displacements [B, Q, T, num_outputs], 0 in frame 0.

  They are 0 too in frames that have no regression.
  """
  still = np.zeros((*cues.shape[:2], num_outputs), np.float32)
  later = [still if r is None else r.predict(cues) for r in regressions]
  return np.stack([still, *later], 2)


def _fit_depth(patches, depth, baseline, check):
  """Fits the logarithms of ratios of depth to the baseline.

  Where a pixel's depth is not known (the sky), the mean of the patch's other
  pixels takes its place; patches without any known pixel do not count.

  Args:
    patches: float [B, R, D + 2], features and places.
    depth: float [B, R, P * P], metres; 0 where it is not known.
    baseline: float [B, R, P * P], metres.
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
