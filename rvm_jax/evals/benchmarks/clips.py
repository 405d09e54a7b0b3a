"""One's own labelled videos: the class of a video, by a trained readout.

'top_1' comes with the ends of its 95 % interval over test videos, 'top_1_low'
and 'top_1_high'. 'constant_top_1' is the baseline: the score of always
predicting the most frequent class of the test videos.
"""

import collections

from rvm_jax.evals.benchmarks import classification
from rvm_jax.evals.datasets import clips
from rvm_jax.evals.metrics import intervals


def _summarise(rows: classification.Rows) -> dict[str, float]:
  """Adds an interval and a baseline to the scores of `classification`."""
  scores = classification.summarise(rows)
  low, high = intervals.interval(100 * classification.judge_videos(rows))
  labels = {row['clip'].video_name: row['clip'].label for row in rows}
  ((_, count),) = collections.Counter(labels.values()).most_common(1)
  return scores | {
      'top_1_low': low,
      'top_1_high': high,
      'constant_top_1': 100 * count / len(labels),
  }


TASK = classification.make_task(
    'Clips top-1', clips.read, ('train', 'test'), summarise=_summarise
)
