"""JHMDB: 15 joints of the first frame carried on, scored as PCK.

No training: see `label_propagation`. The protocol is that of the released RVM
evaluation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.datasets import jhmdb
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import keypoints
from rvm_jax.evals.propagation import joints
from rvm_jax.evals.propagation import label_propagation
from rvm_jax.evals.propagation import pictures as pictures_lib
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

  'pck_X' is the percentage of joints that are at most X off, in units of 0.6
  times the diagonal of the box around the person's joints: of each joint over
  all frames of all videos but the first frames, then the mean over the joints.
  A joint is a sample where the prediction has it, as in the released
  evaluation; one without any sample is left out of the mean, which the notes
  then say (the released evaluation has no mean at all).

  Args:
    model: the encoder.
    data_dir: see `datasets.jhmdb`.
    height, width: of the frames that the encoder sees, in pixels.
    thresholds: ascending; the first is the headline.
    propagation: settings of `label_propagation.propagate`.

  Returns:
    A report with a row for each video.

  Raises:
    FileNotFoundError: something of the data set is missing.
    ValueError: broken files, a video of one frame, or no joint found anywhere.
  """
  videos, lists = jhmdb.read(data_dir)
  for video in videos:
    if len(video.pose) < 2:
      raise ValueError(
          f'{video.name} has {len(video.pose)} poses; it must have at least 2,'
          ' as the first does not count'
      )
  shown = pictures_lib.choose_shown(len(videos))
  rows, notes, pictures, distances = [], [], {}, []
  for index, video in enumerate(videos):
    frames = video.read()
    num_poses = len(video.pose)
    if num_poses < len(frames):
      notes.append(
          f'{video.name}: of {len(frames)} frames {num_poses} have a pose'
      )
    features = videos_lib.encode(model, frames, (height, width))
    soft = joints.encode(video.pose[0], frames.shape[1:3], features.shape[1:3])
    soft = label_propagation.propagate(features, soft, **propagation)
    found, visible = joints.decode(np.asarray(soft), frames.shape[1:3])
    found, visible = found[:num_poses], visible[:num_poses]
    distances.append(
        keypoints.distances(video.pose[1:], found[1:], visible[1:])
    )
    mean = _mean_pck(distances[-1], thresholds)
    rows.append({'video': video.name, 'num_frames': num_poses - 1} | mean)
    if index in shown:
      pictures[video.name] = pictures_lib.draw_joints(
          frames[:num_poses], video.pose, found
      )
    logging.info(
        '%d/%d %s: %s',
        index + 1,
        len(videos),
        video.name,
        ', '.join(f'{key} {score:.1f}' for key, score in mean.items()),
    )
  pooled = np.concatenate(distances)  # [N, 15]
  scores = _mean_pck(pooled, thresholds)
  headline = next(iter(scores))
  if np.isnan(scores[headline]):
    raise ValueError(f'{data_dir}: no joint is found in any video')
  by_joint = zip(jhmdb.JOINTS, 100 * keypoints.pck(pooled, thresholds[0]))
  for name, score in by_joint:
    if score >= 0:
      scores[f'{headline}_{name}'] = float(score)
    else:
      notes.append(f'{name} is found in no frame, and left out of the mean')
  return report.Report(
      task=f'JHMDB PCK@{thresholds[0]:g}',
      headline=headline,
      scores=scores | {'num_videos': len(videos)},
      rows=rows,
      pictures=pictures,
      files=lists
      + [path for v in videos for path in (*v.frame_files, v.pose_file)],
      notes=notes,
  )


def _mean_pck(distances, thresholds):
  """The mean over joints that have a sample; NaN without any."""
  scores = {}
  for threshold in thresholds:
    by_joint = keypoints.pck(distances, threshold)
    found = by_joint[by_joint >= 0]
    mean = float(found.mean()) if found.size else float('nan')
    scores[f'pck_{threshold:g}'] = 100 * mean
  return scores
