"""DAVIS-2017: propagates the masks of the first frame and scores them as J&F.

Nothing is trained. The protocol is that of the released evaluation: cells 11,
15, 16, 19 and 23 of the notebook that `label_propagation` names. The report
also has the scores that DAVIS's own toolkit gives to the same masks.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any, NamedTuple

import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.datasets import davis
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import regions
from rvm_jax.evals.propagation import pictures
from rvm_jax.evals.propagation import still_masks
from rvm_jax.evals.propagation import videos as videos_lib

_VOID = 255


class _Object(NamedTuple):
  """The scores of an object in each frame after the first.

  Attributes:
    video: name of the video.
    number: number of the object in the masks.
    is_in_first: whether the first mask has this number or a higher one, so that
      the toolkit counts the object.
    j: region overlap J in [0, 1], float [T - 1].
    f: boundary accuracy F in [0, 1], float [T - 1].
  """

  video: str
  number: int
  is_in_first: bool
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

  The scores are percentages:

  'j', 'f', 'j_and_f': as in the released evaluation. The objects of a video are
  1 to the highest number in any of its masks. An object's score is the mean
  over all frames but the first and the last, and the mean over the objects of
  all videos is reported. In a frame where an object is out of sight, it scores
  100 if nothing is predicted for it, and 0 otherwise.

  'toolkit_*': as in DAVIS's toolkit (github.com/davisvideochallenge/
  davis2017-evaluation), whose objects are 1 to the highest number in the first
  mask. For recall and decay see `metrics.regions`.

  'j_and_f_A_to_B': the mean over frames A to B, both included, where the first
  frame is 0. Only the objects of videos with more than max(horizons) frames
  count. Each horizon B has a score for frames 1 to B, and each but the first
  also one for the frames after the previous horizon up to B. It is not known
  which of the two the paper plots.

  'stay_*', 'stay_grid_*': baselines that ignore the video, 'j_and_f' and its
  horizons for masks of the first frame that are repeated in every frame.
  `still_masks` describes the two kinds.

  Args:
    model: the encoder.
    data_dir: folder of the data set, as `datasets.davis` describes it.
    height: height in pixels of the frames that the encoder gets.
    width: width in pixels of the frames that the encoder gets.
    horizons: last frames of the spans that are scored on their own, in
      ascending order.
    propagation: keyword arguments of `label_propagation.propagate`.

  Returns:
    A report with a row for each object.

  Raises:
    FileNotFoundError: a file of the data set is missing.
    ImportError: the data set was prepared by tensorflow-datasets, which is not
      installed.
    TypeError: `propagation` has an unknown key.
    ValueError: a file is broken, a video has fewer than three frames, or the
      first masks show no object.
  """
  videos = davis.read(data_dir)
  for video in videos:
    if video.num_frames < 3:
      raise ValueError(
          f'{video.name} has {video.num_frames} frames; it must have at least'
          ' 3, as the first and the last do not count'
      )
  score = functools.partial(_score_video, model, (height, width), propagation)
  found = videos_lib.score_all(videos, score)
  objects, still = _join(found.measures)
  if not any(scored.is_in_first for scored in objects):
    raise ValueError(f'{data_dir}: no object in the first mask of any video')
  by_horizon = _average_by_horizon(objects, horizons)
  if not by_horizon['num_long_videos']:
    found.notes.append(f'no video has more than {max(horizons)} frames')
  scores = (
      _average(found.rows)
      | _average_as_toolkit([o for o in objects if o.is_in_first])
      | by_horizon
      | {'num_videos': len(videos), 'num_objects': len(objects)}
  )
  for kind, in_kind in still.items():
    of_kind = _average_by_horizon(in_kind, horizons)
    del of_kind['num_long_videos']
    scores |= {f'{kind}_{name}': score for name, score in of_kind.items()}
  return report.Report(
      task='DAVIS-2017 J&F',
      headline='j_and_f',
      scores=scores,
      rows=found.rows,
      pictures=found.pictures,
      files=found.files,
      notes=found.notes,
      lines=still_masks.tabulate(scores, 'j_and_f', 'J&F (%)'),
  )


def _score_video(model, size, propagation, video):
  """Propagates the first mask of a video and scores all of its objects."""
  frames, masks = video.read()
  notes = []
  if (masks == _VOID).any():
    notes.append(f'{video.name}: void ({_VOID}) is taken for background')
    masks = np.where(masks == _VOID, 0, masks)
  features = videos_lib.encode(model, frames, size)
  # Only objects in the first mask can be propagated.
  label_map = np.unique(masks[0])
  prediction = videos_lib.propagate_masks(
      features, masks[0], label_map, size, propagation
  )
  repeated = still_masks.repeat(
      masks[0], label_map, size, features.shape[1:3], len(masks)
  )
  objects = _score_objects(video.name, masks, prediction)
  still = {
      kind: _score_objects(video.name, masks, x) for kind, x in repeated.items()
  }
  if not objects:
    notes.append(f'{video.name}: no object in any mask')
  return videos_lib.VideoScore(
      measures=(objects, still),
      rows=[
          _make_row(scored, dict(zip(still, others)))
          for scored, *others in zip(objects, *still.values(), strict=True)
      ],
      notes=notes,
      draw=functools.partial(pictures.draw_masks, frames, masks, prediction),
  )


def _score_objects(name, masks, prediction):
  """Scores all objects of a video in the predicted masks."""
  objects = []
  for number in range(1, 1 + int(masks.max())):
    pair = masks[1:] == number, prediction[1:] == number
    j, f = regions.jaccard(*pair), regions.boundary_f(*pair)
    is_in_first = number <= masks[0].max()
    objects.append(_Object(name, number, is_in_first, j, f))
  return objects


def _join(measures):
  """Joins the objects of all videos.

  Returns:
    The scores of the predicted masks, a list of `_Object`, and of the masks
    that stay, such a list for each kind.
  """
  objects = [scored for predicted, _ in measures for scored in predicted]
  still = {
      kind: [scored for _, still in measures for scored in still[kind]]
      for kind in still_masks.KINDS
  }
  return objects, still


def _make_row(scored, still):
  """Returns the row of an object, in which the last frame does not count.

  Args:
    scored: the scores of the prediction, an `_Object`.
    still: the scores of masks that stay, an `_Object` for each kind.
  """
  j, f, j_and_f = _mean(scored)
  return {
      'video': scored.video,
      'object': scored.number,
      'num_frames': len(scored.j) - 1,
      'j': j,
      'f': f,
      'j_and_f': j_and_f,
      'is_in_first_mask': scored.is_in_first,
  } | {f'{kind}_j_and_f': _mean(x)[2] for kind, x in still.items()}


def _mean(scored):
  """Returns J, F and their mean, in %, over all frames but the last."""
  j, f = 100 * scored.j[:-1].mean(), 100 * scored.f[:-1].mean()
  return j, f, (j + f) / 2


def _average(rows):
  """Averages scores over all objects, as in the released evaluation."""
  names = 'j', 'f', 'j_and_f'
  names += tuple(f'{kind}_j_and_f' for kind in still_masks.KINDS)
  return {name: float(np.mean([row[name] for row in rows])) for name in names}


def _average_as_toolkit(objects):
  """Averages mean, recall and decay over objects, as DAVIS's toolkit does."""
  scores = {}
  for name in ('j', 'f'):
    # The scores of each object by frame, without the last frame.
    curves = [getattr(scored, name)[:-1] for scored in objects]
    for key, measure in (
        (f'toolkit_{name}', np.mean),
        (f'toolkit_{name}_recall', regions.recall),
        (f'toolkit_{name}_decay', regions.decay),
    ):
      scores[key] = 100 * float(np.mean([*map(measure, curves)]))
  mean = (scores['toolkit_j'] + scores['toolkit_f']) / 2
  return {'toolkit_j_and_f': mean} | scores


def _average_by_horizon(objects, horizons):
  """Averages scores over the objects of long videos, for spans of frames.

  Returns:
    The scores 'j_and_f_A_to_B', and 'num_long_videos', the number of videos
    with more than max(horizons) frames. If that is 0, there are no scores.
  """
  objects = [scored for scored in objects if len(scored.j) >= max(horizons)]
  scores = {'num_long_videos': len({scored.video for scored in objects})}
  if not objects:
    return scores
  # Frames 1 to each horizon, and those after each horizon up to the next one.
  spans = {(1, last) for last in horizons}
  spans |= {(1 + start, last) for start, last in zip(horizons, horizons[1:])}
  for first, last in sorted(spans):
    # The curves begin with frame 1.
    part = slice(first - 1, last)
    scores[f'j_and_f_{first}_to_{last}'] = 100 * float(
        np.mean([(o.j[part].mean() + o.f[part].mean()) / 2 for o in objects])
    )
  return scores
