"""What can be read off features of generated scenes, in closed form.

The paper's readouts ask for points and boxes with coordinates alone. The
encoder must have written down where each thing came from, and the readout must
learn to find it, in 40,000 steps of 32 examples. These readouts are ours. They
look for patches like those at a thing's place in frame 0 (`scenes.matches`)
and fit what to make of that (`scenes.ridge`): how well they do depends on
whether the features of one thing agree over time. The camera's motion is read
off where patches went, depth off each patch where it is.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses

import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.scenes import clips as clips_lib
from rvm_jax.evals.scenes import matches
from rvm_jax.evals.scenes import ridge
from rvm_jax.evals.scenes import scores
from rvm_jax.ops import patches as patches_lib

BATCH = 16  # Clips that are encoded at once.
# From which error on it counts linearly: of places in sides of the frame, of
# depth in its logarithm, of a camera in its entries.
_HUBER_PLACE = 0.01
_HUBER_DEPTH = 0.03
_HUBER_POSE = 0.05
_NUM_PATCHES = 60_000  # That depth is fitted to, of all clips together,
_PER_CLIP = 128  # and at most of one.

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Readouts:
  """Readouts of all tasks, fitted to one encoder.

  Attributes:
    patch: side in pixels.
    typical: of `scores.find_typical`.
    motion, pose: of a clip's motion.
    points, boxes: by how much they are off their first place, in each frame but
      the first; None where no clip shows any there.
    visible: of points in all these frames.
    depth: of a patch, as the logarithm of its ratio to what is typical.
  """

  patch: int
  typical: Arrays
  motion: ridge.Regression
  pose: ridge.Regression
  points: Sequence[ridge.Regression | None]
  boxes: Sequence[ridge.Regression | None]
  visible: ridge.Regression
  depth: ridge.Regression


def encode(
    model: encoder_lib.FrozenEncoder, records: Sequence[clips_lib.Record]
) -> Iterator[tuple[list[Arrays], np.ndarray]]:
  """Yields the examples and features [B, T, h, w, D] of a few clips each."""
  for start in range(0, len(records), BATCH):
    examples = [record.example for record in records[start : start + BATCH]]
    frames = np.stack([example['frames'] for example in examples])
    yield examples, model.encode(frames).patches


def fit(
    model: encoder_lib.FrozenEncoder, records: Sequence[clips_lib.Record]
) -> Readouts:
  """Fits readouts of all tasks.

  Args:
    model: the encoder.
    records: clips, all of one shape.
  """
  typical = scores.find_typical(records)
  parts = []
  rng = np.random.default_rng(0)
  for examples, features in encode(model, records):
    cues = _look(examples, features)
    truth = _gather(examples)
    seen = np.prod(features.shape[1:4])
    chosen = rng.permuted(np.tile(np.arange(seen), (len(examples), 1)), axis=1)[
        :, : min(_PER_CLIP, max(1, _NUM_PATCHES // len(records)))
    ]
    take = lambda x: np.take_along_axis(
        x.reshape(len(x), seen, -1), chosen[..., None], 1
    )
    depth = patches_lib.patchify(truth['depth'][..., None], model.patch)
    usual = patches_lib.patchify(typical['depth'][..., None], model.patch)
    usual = np.broadcast_to(usual, depth.shape)
    parts.append(
        cues
        | truth
        | {
            'patches': take(_place(features)),
            'depth': take(depth),
            'usual': take(usual),
        }
    )
  all_ = {
      key: np.concatenate([part[key] for part in parts]) for key in parts[0]
  }
  size = _size(records[0].example)
  clips = np.arange(len(records))
  labels = np.eye(len(clips_lib.MOTIONS))[all_['label']]
  return Readouts(
      model.patch,
      typical,
      ridge.fit(all_['motion'], labels, clips),
      ridge.fit(
          all_['motion'], all_['pose'], clips, huber_threshold=_HUBER_POSE
      ),
      _fit_moves(all_['points'], all_['tracks'] / size, all_['visible']),
      _fit_moves(
          all_['boxes'],
          all_['true_boxes'] / np.tile(size, 2),
          np.isfinite(all_['true_boxes']).all(-1),
      ),
      _fit_rows(all_['points'], all_['visible'][..., 1:]),
      _fit_depth(all_['patches'], all_['depth'], all_['usual']),
  )


def answer(
    readouts: Readouts, examples: Sequence[Arrays], features: np.ndarray
) -> list[dict[str, np.ndarray]]:
  """What readouts say of clips, for each as `scores` wants it.

  Args:
    readouts: of `fit`.
    examples: B clips; of their truth, what is asked for is looked at: points
      and boxes in frame 0.
    features: [B, T, h, w, D], of the same encoder.

  Returns:
    'probabilities' [8], estimated by least squares, so of a sum near 1; 'pose'
    [12]; 'tracks' [P, T, 2] in pixels; 'chance' [P, T], of being visible,
    estimated alike, and 'visible', whether it is above a half; 'boxes' [O, T,
    4] in pixels; 'depth' [T, H, W] in metres.
  """
  cues, truth = _look(examples, features), _gather(examples)
  height, width = examples[0]['frames'].shape[1:3]
  size = _size(examples[0])
  first = truth['tracks'][:, :, :1]
  chance = readouts.visible.predict(cues['points'])
  chance = np.concatenate([np.ones_like(chance[..., :1]), chance], -1)
  depth = readouts.depth.predict(_place(features))
  depth = patches_lib.unpatchify(
      depth.reshape(*depth.shape[:2], -1, depth.shape[-1]),
      height,
      width,
      readouts.patch,
  )[..., 0]
  found = {
      'probabilities': readouts.motion.predict(cues['motion']),
      'pose': readouts.pose.predict(cues['motion']),
      'tracks': first + size * _move(readouts.points, cues['points'], 2),
      'chance': chance,
      'visible': chance > 0.5,
      'boxes': truth['true_boxes'][:, :, :1]
      + np.tile(size, 2) * _move(readouts.boxes, cues['boxes'], 4),
      'depth': readouts.typical['depth'] * np.exp(depth),
  }
  return [
      {key: value[row] for key, value in found.items()}
      for row in range(len(examples))
  ]


def _gather(examples):
  """Truths of some clips; 'boxes' are cues, so the true ones are renamed."""
  truth = {
      key: np.stack([example[key] for example in examples])
      for key in ('label', 'pose', 'tracks', 'visible', 'depth')
  }
  return truth | {'true_boxes': np.stack([e['boxes'] for e in examples])}


def _look(examples, features):
  """What is fitted to, of each clip, point and box."""
  grid, size = features.shape[2:4], _size(examples[0])
  points = np.stack([e['tracks'][:, 0] for e in examples]) / size
  boxes = np.stack([e['boxes'][:, 0] for e in examples])
  boxes = np.nan_to_num(boxes) / np.tile(size, 2)

  def find(asked, place):
    cues = np.asarray(matches.find(features, asked))
    cues = cues.reshape(*cues.shape[:2], -1)
    return np.concatenate([cues, place], -1, dtype=np.float32)

  return {
      'motion': np.asarray(matches.follow(features)),
      'points': find(matches.share_points(points, grid), points),
      'boxes': find(matches.share_boxes(boxes, grid), boxes),
  }


def _place(features):
  """Features and the place of each patch, [B, T, h, w, D + 2]."""
  along = lambda count: np.linspace(-1, 1, count, dtype=np.float32)
  rows, columns = map(along, features.shape[2:4])
  place = np.stack(np.meshgrid(columns, rows), -1)
  place = np.broadcast_to(place, (*features.shape[:4], 2))
  return np.concatenate([features, place], -1)


def _fit_rows(cues, targets, **settings):
  """A regression of [B, Q, F] to [B, Q, K]; rows of a clip are a group."""
  rows = lambda x: x.reshape(-1, x.shape[-1])
  groups = np.repeat(np.arange(len(cues)), cues.shape[1])
  return ridge.fit(rows(cues), rows(targets), groups, **settings)


def _fit_moves(cues, places, is_known):
  """For each frame but the first, [B, Q, F] to moves, [B, Q, K]."""
  moves = np.nan_to_num(places - places[:, :, :1])
  return [
      _fit_rows(
          cues,
          moves[:, :, time],
          weights=is_known[:, :, time].ravel(),
          huber_threshold=_HUBER_PLACE,
      )
      if is_known[:, :, time].any()
      else None
      for time in range(1, places.shape[2])
  ]


def _move(fitted, cues, num):
  """Moves [B, Q, T, num] of things; none in the first frame."""
  still = np.zeros((*cues.shape[:2], num), np.float32)
  later = [still if fit is None else fit.predict(cues) for fit in fitted]
  return np.stack([still, *later], 2)


def _fit_depth(patches, depth, usual):
  """Patches [B, R, D + 2] to log ratios of depths [B, R, pixels] to the usual.

  Where a pixel's depth is not known (the sky), that of the patch's others is
  taken; patches of sky alone do not count.
  """
  known = depth > 0
  ratio = np.log(np.where(known, depth, usual) / usual)
  count = known.sum(-1, keepdims=True)
  mean = ratio.sum(-1, keepdims=True) / np.maximum(count, 1)
  return _fit_rows(
      patches,
      np.where(known, ratio, mean),
      weights=(count > 0).ravel(),
      huber_threshold=_HUBER_DEPTH,
  )


def _size(example):
  """Width and height of the frames, in pixels."""
  return np.array(example['frames'].shape[2:0:-1], np.float32)
