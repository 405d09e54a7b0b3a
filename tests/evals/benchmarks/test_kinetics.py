"""Tests a run of the Kinetics benchmark with several clips of each video."""

import numpy as np

from tests.evals.benchmarks import readouts

NAME = 'kinetics'


def test_videos_are_judged_by_the_mean_over_their_clips(
    run_benchmark, predict_with
):
  probabilities = iter([(0.4, 0.6), (0.9, 0.1), (0.2, 0.8), (0.7, 0.3)])
  settings = predict_with(
      lambda _: {'probabilities': np.array(next(probabilities))}
  )
  config = readouts.shrink_config(NAME)
  config.protocol.test.num_clips = 2
  result, rows = readouts.load(run_benchmark(NAME, config))
  assert result['task'] == 'Kinetics-700 top-1'
  # The mean over two clips is (0.65, 0.35) for the video of class 1, and
  # (0.45, 0.55) for that of class 0: both are wrong.
  assert result['scores'] == {'top_1': 0.0, 'num_videos': 2}
  assert [(row['class'], row['found'], row['num_clips']) for row in rows] == [
      ('yoga (easy)', 'abseiling', '2'),
      ('abseiling', 'yoga (easy)', '2'),
  ]
  assert result['notes'] == ['2 classes, not 700', 'fitted']
  head, examples = settings['head'], settings['examples']
  assert head.num_classes == 2 and head.num_params == 8
  assert len(settings['train']) == 4 and len(settings['test']) == 4
  assert examples['test']['test'] == {'num_clips': 2, 'num_crops': 1}
  # The settings of the training examples do not include those of the test.
  assert examples['train'].keys() == {'sampling', 'train'}
  probabilities = iter([(0.1, 0.9), (0.6, 0.4), (0.2, 0.8), (0.6, 0.4)])
  result, _ = readouts.load(run_benchmark(NAME, config))
  assert result['scores']['top_1'] == 50.0
