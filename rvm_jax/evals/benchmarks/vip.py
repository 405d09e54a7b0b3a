"""VIP: propagates masks of body parts and clothes and scores them as mIoU.

Nothing is trained. The protocol is that of the released evaluation: cells 13,
15, 21 and 25 of the notebook that `label_propagation` names.
"""

from collections.abc import Mapping
import functools
from typing import Any

import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.datasets import vip
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import classes
from rvm_jax.evals.propagation import pictures
from rvm_jax.evals.propagation import still_masks
from rvm_jax.evals.propagation import videos as videos_lib

# Pixels with this number have no label. They are not propagated or counted.
_VOID = 255
# Name of the propagated masks, beside the kinds of `still_masks.KINDS`.
_PREDICTED = 'predicted'


def evaluate(
    model: encoder_lib.FrozenEncoder,
    data_dir: str,
    *,
    height: int,
    width: int,
    propagation: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on the validation videos.

  'miou' is the mean over classes, the background included, of the intersection
  over union, in percent. The pixels of all frames of all videos are counted
  together; the first frame, which is predicted too, is one of them. A class
  that is neither annotated nor predicted anywhere is left out, and the notes
  say so.

  'stay_miou' and 'stay_grid_miou' are baselines that ignore the video: masks of
  the first frame that are repeated in every frame. `still_masks` describes the
  two kinds.

  Args:
    model: the encoder.
    data_dir: folder of the data set, as `datasets.vip` describes it.
    height: height in pixels of the frames that the encoder gets.
    width: width in pixels of the frames that the encoder gets.
    propagation: keyword arguments of `label_propagation.propagate`.

  Returns:
    A report with a row for each video.

  Raises:
    FileNotFoundError: a file of the data set is missing.
    TypeError: `propagation` has an unknown key.
    ValueError: a file is broken, a mask has a number that is not a class, or a
      first mask has no label.
  """
  videos = vip.read(data_dir)
  score = functools.partial(_score_video, model, (height, width), propagation)
  found = videos_lib.score_all(videos, score)
  by_class = dict(
      zip(vip.CLASSES, 100 * classes.iou(_add_up(found, _PREDICTED)))
  )
  seen = {k: float(iou) for k, iou in by_class.items() if not np.isnan(iou)}
  if len(seen) < len(by_class):
    unseen = ', '.join(name for name in by_class if name not in seen)
    found.notes.append(
        f'left out, as neither annotated nor predicted: {unseen}'
    )
  scores = {'miou': float(np.mean([*seen.values()])), 'num_videos': len(videos)}
  for kind in still_masks.KINDS:
    scores[f'{kind}_miou'] = _mean(_add_up(found, kind))
  return report.Report(
      task='VIP mIoU',
      headline='miou',
      scores=scores | {f'iou_{name}': iou for name, iou in seen.items()},
      rows=found.rows,
      pictures=found.pictures,
      files=found.files,
      notes=found.notes,
      lines=still_masks.tabulate(scores, 'miou', 'mIoU (%)'),
  )


def _score_video(model, size, propagation, video):
  """Propagates the first mask of a video and counts its pixels by class."""
  frames, masks = video.read()
  _check_labels(video.name, masks)
  is_void = masks == _VOID
  notes = []
  if is_void.any():
    notes.append(f'{video.name}: some pixels have no label and do not count')
  features = videos_lib.encode(model, frames, size)
  label_map = np.setdiff1d(masks[0], _VOID)
  prediction = videos_lib.propagate_masks(
      features, masks[0], label_map, size, propagation
  )
  still = still_masks.repeat(
      masks[0], label_map, size, features.shape[1:3], len(masks)
  )
  counts = {
      kind: classes.confusion(masks, x, len(vip.CLASSES))
      for kind, x in ({_PREDICTED: prediction} | still).items()
  }
  row = {'video': video.name, 'num_frames': len(frames)}
  row['miou'] = _mean(counts[_PREDICTED])
  row |= {f'{kind}_miou': _mean(counts[kind]) for kind in still}
  # The picture shows pixels without a label as background.
  shown = np.where(is_void, 0, masks)
  return videos_lib.VideoScore(
      measures=counts,
      rows=[row],
      notes=notes,
      draw=functools.partial(pictures.draw_masks, frames, shown, prediction),
  )


def _add_up(found, kind):
  """Adds up the confusion matrices of all videos for one kind of masks."""
  return sum(counts[kind] for counts in found.measures)


def _mean(confusion):
  """Returns the mean IoU over the classes that occur, in %."""
  return 100 * float(np.nanmean(classes.iou(confusion)))


def _check_labels(name, masks):
  """Raises ValueError if masks have a wrong number, or the first has none."""
  found = np.unique(masks)
  wrong = found[(found >= len(vip.CLASSES)) & (found != _VOID)]
  if wrong.size:
    frame = np.isin(masks, wrong).any((1, 2)).argmax()
    raise ValueError(
        f'{name}: mask {frame} has the label {wrong[0]}; labels must be'
        f' classes, 0 to {len(vip.CLASSES) - 1}, or {_VOID} for none'
    )
  if (masks[0] == _VOID).all():
    raise ValueError(f'{name}: the first mask must have labels, got {_VOID}')
