"""DAVIS-2017: masks of the first frame carried on, scored as J&F.

No training: see `label_propagation`. The protocol is that of the released RVM
evaluation; what DAVIS's own toolkit makes of the same masks stands beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging
import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.datasets import davis
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import regions
from rvm_jax.evals.propagation import pictures as pictures_lib
from rvm_jax.evals.propagation import videos as videos_lib

_VOID = 255


class _Object(NamedTuple):
  """An object's scores in frames 1, 2, ... to the last: float [T - 1]."""

  video: str
  number: int
  is_in_first: bool  # The first mask has this number or a higher one.
  j: np.ndarray
  f: np.ndarray


def evaluate(
    model: encoder_lib.FrozenEncoder,
    data_dir: str,
    *,
    height: int,
    width: int,
    horizons: Sequence[int],
    propagation: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on the validation videos.

  'j', 'f', 'j_and_f': as in the released evaluation. The first and the last
  frame do not count; the objects of a video are 1 to the highest number in any
  of its masks; the score is the mean over all objects of all videos, of each
  one's mean over frames. Where an object is out of sight, it scores 100 if
  nothing is predicted for it, else 0.

  'toolkit_*': as in DAVIS's toolkit, where the objects are 1 to the highest
  number in the first mask. Recall and decay: see `metrics.regions`.

  'j_and_f_A_to_B': over frames A to B, both included, where the first frame is
  0, and over the objects of those videos alone that have more than
  max(horizons) frames. For each horizon H there is 1 to H, and what of it comes
  after the horizon before. Which of the two the paper plots is not known.

  Args:
    model: the encoder.
    data_dir: see `datasets.davis`.
    height, width: of the frames that the encoder sees, in pixels.
    horizons: numbers of frames, ascending.
    propagation: settings of `label_propagation.propagate`.

  Returns:
    A report with a row for each object.

  Raises:
    FileNotFoundError: something of the data set is missing.
    ValueError: broken files, a video of less than three frames, or no object.
  """
  videos = davis.read(data_dir)
  for video in videos:
    if video.num_frames < 3:
      raise ValueError(
          f'{video.name} has {video.num_frames} frames; it must have at least'
          ' 3, as the first and the last do not count'
      )
  shown = pictures_lib.choose_shown(len(videos))
  objects, notes, pictures = [], [], {}
  for index, video in enumerate(videos):
    frames, masks = video.read()
    if (masks == _VOID).any():
      notes.append(f'{video.name}: void ({_VOID}) is taken for background')
      masks = np.where(masks == _VOID, 0, masks)
    features = videos_lib.encode(model, frames, (height, width))
    predicted = videos_lib.propagate_masks(
        features, masks[0], np.unique(masks[0]), (height, width), propagation
    )
    found = _score(video.name, masks, predicted)
    objects += found
    if not found:
      notes.append(f'{video.name}: no object in any mask')
    if index in shown:
      pictures[video.name] = pictures_lib.draw_masks(frames, masks, predicted)
    logging.info(
        '%d/%d %s: %s',
        index + 1,
        len(videos),
        video.name,
        ', '.join(f'object {o.number} {_row(o)["j_and_f"]:.1f}' for o in found),
    )
  if not any(o.is_in_first for o in objects):
    raise ValueError(f'{data_dir}: no object in the first mask of any video')
  by_horizon = _by_horizon(objects, horizons)
  if not by_horizon['num_long_videos']:
    notes.append(f'no video has more than {max(horizons)} frames')
  return report.Report(
      task='DAVIS-2017 J&F',
      headline='j_and_f',
      scores=_released(objects)
      | _toolkit([o for o in objects if o.is_in_first])
      | by_horizon
      | {'num_videos': len(videos), 'num_objects': len(objects)},
      rows=[_row(o) for o in objects],
      pictures=pictures,
      files=[path for video in videos for path in video.files],
      notes=notes,
  )


def _score(name, masks, predicted):
  scored = []
  for number in range(1, 1 + int(masks.max())):
    pair = masks[1:] == number, predicted[1:] == number
    scored.append(
        _Object(
            name,
            number,
            number <= masks[0].max(),
            regions.jaccard(*pair),
            regions.boundary_f(*pair),
        )
    )
  return scored


def _row(scored):
  j, f = 100 * scored.j[:-1].mean(), 100 * scored.f[:-1].mean()
  return {
      'video': scored.video,
      'object': scored.number,
      'num_frames': len(scored.j) - 1,
      'j': j,
      'f': f,
      'j_and_f': (j + f) / 2,
      'is_in_first_mask': scored.is_in_first,
  }


def _released(objects):
  rows = [_row(o) for o in objects]
  return {
      key: float(np.mean([row[key] for row in rows]))
      for key in ('j', 'f', 'j_and_f')
  }


def _toolkit(objects):
  scores = {}
  for name in ('j', 'f'):
    curves = [getattr(o, name)[:-1] for o in objects]
    for kind, measure in (
        (name, np.mean),
        (f'{name}_recall', regions.recall),
        (f'{name}_decay', regions.decay),
    ):
      scores[f'toolkit_{kind}'] = 100 * float(np.mean([*map(measure, curves)]))
  mean = (scores['toolkit_j'] + scores['toolkit_f']) / 2
  return {'toolkit_j_and_f': mean} | scores


def _by_horizon(objects, horizons):
  objects = [o for o in objects if len(o.j) >= max(horizons)]
  scores = {'num_long_videos': len({o.video for o in objects})}
  parts = {(1, stop) for stop in horizons}
  parts |= {(1 + start, stop) for start, stop in zip(horizons, horizons[1:])}
  for first, last in sorted(parts) if objects else ():
    part = slice(first - 1, last)
    scores[f'j_and_f_{first}_to_{last}'] = 100 * float(
        np.mean([(o.j[part].mean() + o.f[part].mean()) / 2 for o in objects])
    )
  return scores
