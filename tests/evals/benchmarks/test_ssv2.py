"""Tests runs of the Something-Something v2 benchmark, and left-out videos."""

import json

import numpy as np

from tests.evals import tiny_videos
from tests.evals.benchmarks import readouts

NAME, TITLE = 'ssv2', 'SSv2 top-1'


def test_run_writes_a_whole_result(run_benchmark, fast_compile):
  out = run_benchmark(NAME)
  readouts.check_result(out, TITLE, num_rows=2, num_files=6 + 3)


def test_shipped_head_has_the_parameters_that_4ds_counts(
    run_benchmark, predict_with, video_set
):
  classes = tiny_videos.SSV2 | {f'{i}': str(i) for i in range(2, 174)}
  labels = video_set(NAME) / 'something-something-v2-labels.json'
  labels.write_text(json.dumps(classes))
  settings = predict_with(lambda _: {'probabilities': np.eye(174)[0]})
  out = run_benchmark(NAME, readouts.load_config(NAME))
  assert readouts.load(out)[0]['notes'] == ['fitted']
  readouts.check_head(settings, 7_041_966, tolerance=0)


def test_result_notes_the_videos_that_are_left_out(
    run_benchmark, predict_with, video_set
):
  predict_with(lambda _: {'probabilities': np.array([0.0, 1.0])})
  (video_set(NAME) / '20bn-something-something-v2/1.webm').unlink()
  config = readouts.shrink_config(NAME)
  config.protocol.train.max_bad_share = 0.5
  result, _ = readouts.load(run_benchmark(NAME, config))
  assert result['notes'][0].startswith('train: 1 of 4 videos are missing')
  assert result['scores']['top_1'] == 50
