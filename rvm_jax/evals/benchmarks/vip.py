"""VIP: the parts of people in the first frame carried on, scored as mIoU.

No training: see `label_propagation`. The protocol is that of the released RVM
evaluation.
"""

from collections.abc import Mapping
from typing import Any

from absl import logging
import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.datasets import vip
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import classes
from rvm_jax.evals.propagation import pictures as pictures_lib
from rvm_jax.evals.propagation import videos as videos_lib

_VOID = 255  # Not labelled: neither carried on nor counted.


def evaluate(
    model: encoder_lib.FrozenEncoder,
    data_dir: str,
    *,
    height: int,
    width: int,
    propagation: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on the validation videos.

  'miou' is the mean over classes, the background among them, of the
  intersection over union of all pixels of all frames of all videos, the first
  frame's own prediction included. A class that is neither there nor predicted
  is left out.

  Args:
    model: the encoder.
    data_dir: see `datasets.vip`.
    height, width: of the frames that the encoder sees, in pixels.
    propagation: settings of `label_propagation.propagate`.

  Returns:
    A report with a row for each video.

  Raises:
    FileNotFoundError: something of the data set is missing.
    ValueError: broken files, a label that is no class, or a first mask without
      any label.
  """
  videos = vip.read(data_dir)
  shown = pictures_lib.choose_shown(len(videos))
  num_classes = len(vip.CLASSES)
  total = np.zeros((num_classes, num_classes), np.int64)
  rows, notes, pictures = [], [], {}
  for index, video in enumerate(videos):
    frames, masks = video.read()
    if _check_labels(video.name, masks):
      notes.append(f'{video.name}: some pixels have no label and do not count')
    features = videos_lib.encode(model, frames, (height, width))
    predicted = videos_lib.propagate_masks(
        features,
        masks[0],
        np.setdiff1d(masks[0], _VOID),
        (height, width),
        propagation,
    )
    found = classes.confusion(masks, predicted, num_classes)
    total += found
    rows.append(
        {
            'video': video.name,
            'num_frames': len(frames),
            'miou': 100 * float(np.nanmean(classes.iou(found))),
        }
    )
    if index in shown:
      pictures[video.name] = pictures_lib.draw_masks(
          frames, np.where(masks == _VOID, 0, masks), predicted
      )
    logging.info(
        '%d/%d %s: %.1f', index + 1, len(videos), video.name, rows[-1]['miou']
    )
  by_class = dict(zip(vip.CLASSES, 100 * classes.iou(total)))
  seen = {k: float(score) for k, score in by_class.items() if score >= 0}
  if len(seen) < num_classes:
    unseen = ', '.join(k for k in by_class if k not in seen)
    notes.append(f'left out, as neither there nor predicted: {unseen}')
  scores = {'miou': float(np.mean([*seen.values()])), 'num_videos': len(videos)}
  return report.Report(
      task='VIP mIoU',
      headline='miou',
      scores=scores | {f'iou_{k}': score for k, score in seen.items()},
      rows=rows,
      pictures=pictures,
      files=[path for video in videos for path in video.files],
      notes=notes,
  )


def _check_labels(name, masks) -> bool:
  """Refuses labels that mean nothing; says whether some pixels have none."""
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
  return _VOID in found
