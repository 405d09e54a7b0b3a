"""JHMDB: propagates 15 joints of a person and scores them as PCK.

Nothing is trained. The protocol is that of the released evaluation: cells 12,
15, 16, 20 and 24 of the notebook that `label_propagation` names.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.datasets import jhmdb
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import keypoints
from rvm_jax.evals.propagation import joints
from rvm_jax.evals.propagation import label_propagation
from rvm_jax.evals.propagation import pictures
from rvm_jax.evals.propagation import videos as videos_lib


def evaluate(
    model: encoder_lib.FrozenEncoder,
    data_dir: str,
    *,
    height: int,
    width: int,
    thresholds: Sequence[float],
    propagation: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on the test videos of split 1.

  'pck_X' is the percentage of correct keypoints: joints whose distance to the
  annotated place is at most X times a unit, which is 0.6 times the diagonal of
  the box around the person's joints. It is computed for each joint over all
  frames but the first of all videos, and then averaged over the joints.

  As in the released evaluation, a frame counts for a joint if the prediction
  has the joint there. A joint that is predicted nowhere is left out of the
  mean, and the notes say so; the mean of the released evaluation is NaN then.

  Args:
    model: the encoder.
    data_dir: folder of the data set, as `datasets.jhmdb` describes it.
    height: height in pixels of the frames that the encoder gets.
    width: width in pixels of the frames that the encoder gets.
    thresholds: values of X in ascending order; the score of the first one is
      the headline.
    propagation: keyword arguments of `label_propagation.propagate`.

  Returns:
    A report with a row for each video.

  Raises:
    FileNotFoundError: a file of the data set is missing.
    TypeError: `propagation` has an unknown key.
    ValueError: a file is broken, a video has a single pose, or no joint is
      predicted in any video.
  """
  videos, lists = jhmdb.read(data_dir)
  for video in videos:
    if len(video.poses) < 2:
      raise ValueError(
          f'{video.name} has {len(video.poses)} poses; it must have at least 2,'
          ' as the first does not count'
      )
  found = videos_lib.score_all(
      videos,
      functools.partial(
          _score_video, model, (height, width), thresholds, propagation
      ),
  )
  distances = np.concatenate(found.measures)  # [N, 15]
  scores = _average(distances, thresholds)
  headline = next(iter(scores))
  if np.isnan(scores[headline]):
    raise ValueError(f'{data_dir}: no joint is found in any video')
  by_joint = 100 * keypoints.pck(distances, thresholds[0])
  for name, score in zip(jhmdb.JOINTS, by_joint):
    if np.isnan(score):
      found.notes.append(
          f'{name} is found in no frame, and left out of the mean'
      )
    else:
      scores[f'{headline}_{name}'] = float(score)
  return report.Report(
      task=f'JHMDB PCK@{thresholds[0]:g}',
      headline=headline,
      scores=scores | {'num_videos': len(videos)},
      rows=found.rows,
      pictures=found.pictures,
      files=lists + found.files,
      notes=found.notes,
  )


def _score_video(model, size, thresholds, propagation, video):
  """Propagates the first pose of a video and measures distances of joints."""
  frames = video.read()
  num_poses = len(video.poses)
  notes = []
  if num_poses < len(frames):
    notes.append(
        f'{video.name}: {num_poses} of {len(frames)} frames have a pose'
    )
  features = videos_lib.encode(model, frames, size)
  soft = joints.encode(video.poses[0], frames.shape[1:3], features.shape[1:3])
  soft = label_propagation.propagate(features, soft, **propagation)
  prediction, is_found = joints.decode(np.asarray(soft), frames.shape[1:3])
  # Frames after the last pose are encoded, as in the released evaluation, but
  # there is no ground truth to score them with.
  prediction, is_found = prediction[:num_poses], is_found[:num_poses]
  distances = keypoints.distances(video.poses[1:], prediction[1:], is_found[1:])
  row = {'video': video.name, 'num_frames': num_poses - 1}
  return videos_lib.VideoScore(
      measures=distances,
      rows=[row | _average(distances, thresholds)],
      notes=notes,
      draw=functools.partial(
          pictures.draw_joints, frames[:num_poses], video.poses, prediction
      ),
  )


def _average(distances, thresholds):
  """Returns PCK in % by threshold, the mean over the joints that are found.

  It is NaN if no joint is found in any frame.
  """
  scores = {}
  for threshold in thresholds:
    by_joint = keypoints.pck(distances, threshold)
    by_joint = by_joint[~np.isnan(by_joint)]
    mean = float(by_joint.mean()) if by_joint.size else float('nan')
    scores[f'pck_{threshold:g}'] = 100 * mean
  return scores
