"""Tests fitting and scoring with several learning rates."""

import dataclasses
import os
import shutil

import numpy as np
import pytest

from rvm_jax.evals.fitting import scoring
from rvm_jax.training import health
from tests.evals import tiny_examples

MODEL = tiny_examples.encoder()
TRAIN = tiny_examples.records(24, broken={3})
TEST = [tiny_examples.Record(100 + i, is_broken=i == 2) for i in range(21)]
EXAMPLES = {'train': {'num_frames': 2}, 'test': {'num_clips': 1}}
FEATURES = dict(is_kept=True, dtype='float32', num_workers=0, max_bad_share=0.1)
TRAINING = dict(
    seed=0,
    num_steps=20,
    batch_size=8,
    num_microbatches=1,
    is_augmented=False,
    learning_rates=(1e-12, 0.1),
    warmup_steps=1,
    final_learning_rate=0.0,
    weight_decay=1e-4,
    beta1=0.9,
    beta2=0.999,
    clip_norm=1.0,
    save_every=20,
    log_every=20,
)


def score(record, ground_truth, prediction):
  """Returns whether the class is right, and the cross entropy."""
  assert ground_truth == {'label': record.number % 2}
  probabilities = prediction['probabilities']
  return {
      'name': record.name,
      'correct': probabilities.argmax() == ground_truth['label'],
      'loss': -np.log(probabilities[ground_truth['label']]),
  }


def summarise(rows):
  return {
      'top_1': 100 * float(np.mean([row['correct'] for row in rows])),
      'loss': float(np.mean([row['loss'] for row in rows])),
  }


TOP_1 = scoring.Metric(score, summarise, 'top_1')
LOSS = scoring.Metric(score, summarise, 'loss', lower_is_better=True)


def evaluate(
    workdir,
    metric=LOSS,
    model=MODEL,
    train=TRAIN,
    test=TEST,
    features=None,
    examples=None,
    **changes,
):
  """Evaluates with TRAINING, some of its settings changed."""
  return scoring.evaluate(
      model,
      tiny_examples.Head(),
      train,
      test,
      metric,
      name='classes',
      workdir=str(workdir),
      examples=examples or EXAMPLES,
      features=features or FEATURES,
      training=TRAINING | changes,
  )


def make_recording_encoder():
  """Returns an encoder, and a list to which it appends the clips it encodes."""
  encoded = []

  def function(frames):
    encoded.extend(frames)
    return MODEL.function(frames)

  return dataclasses.replace(MODEL, function=function), encoded


@pytest.fixture(scope='module')
def completed(tmp_path_factory):
  """Returns the working directory and the result of an evaluation."""
  workdir = tmp_path_factory.mktemp('completed')
  return workdir, evaluate(workdir)


def test_best_learning_rate_is_reported(completed):
  workdir, found = completed
  assert found.scores['top_1'] == 100 and found.scores['loss'] < 0.3
  assert found.scores == summarise(found.rows)
  names = [f'clip {100 + i}' for i in range(21) if i != 2]
  assert [row['name'] for row in found.rows] == names
  assert found.notes[:2] == [
      '1 training examples could not be read and are left out: clip 3',
      '1 test examples could not be read and are left out: clip 102',
  ]
  assert 'chosen on the test examples, by loss: ' in found.notes[2]
  assert ' at 1e-12, ' in found.notes[2] and found.notes[2].endswith(' at 0.1')
  for folder in ('features/train.zarr', 'features/test.zarr', 'classes/1e-12'):
    assert (workdir / folder).is_dir()


def test_four_evenly_spaced_test_examples_are_shown(completed):
  shown = completed[1].shown
  assert [x.record.name for x in shown] == [
      'clip 100',
      'clip 107',
      'clip 113',
      'clip 120',
  ]
  for x in shown:
    number = int(x.record.name.removeprefix('clip '))
    expected = tiny_examples.Record(number).read(None)
    np.testing.assert_array_equal(x.example['frames'], expected['frames'])
    assert x.prediction['probabilities'].argmax() == number % 2


def test_repeated_call_does_not_encode_again(completed):
  workdir, found = completed
  failing = dataclasses.replace(MODEL, function=lambda _: 1 / 0)
  again = evaluate(workdir, model=failing, learning_rates=(0.1,))
  assert again.scores == found.scores and again.rows == found.rows
  assert len(again.notes) == 2


def test_features_that_are_not_kept_give_the_same_rows(completed, tmp_path):
  not_kept = FEATURES | {'is_kept': False}
  model, encoded = make_recording_encoder()
  found = evaluate(
      tmp_path,
      TOP_1,
      model,
      features=not_kept,
      is_augmented=True,
      learning_rates=(0.1, 1e-12),
  )
  assert found.scores['top_1'] == 100
  # Test examples are encoded once, not once for each learning rate.
  first = TEST[0].read(None)['frames']
  assert sum(np.array_equal(frames, first) for frames in encoded) == 1
  assert [row['name'] for row in found.rows] == [
      row['name'] for row in completed[1].rows
  ]
  assert found.notes[:-1] == completed[1].notes[:2]
  assert os.listdir(tmp_path) == ['classes']
  # A completed fit is not repeated. Its checkpoint has saved which records were
  # broken, so that the notes are the same although none is broken now.
  mended = [tiny_examples.Record(i) for i in range(len(TRAIN))]
  again = evaluate(
      tmp_path,
      TOP_1,
      model,
      train=mended,
      features=not_kept,
      is_augmented=True,
      learning_rates=(0.1,),
  )
  assert again.notes == completed[1].notes[:2] and again.rows == found.rows


def test_fitted_head_is_scored_on_other_test_examples(completed, tmp_path):
  before, found = completed
  workdir = shutil.copytree(before, tmp_path / 'work')
  other = {
      'examples': EXAMPLES | {'test': {'num_clips': 2}},
      'test': TEST[3:],
      'learning_rates': (0.1,),
  }
  with pytest.raises(ValueError, match=r'test.zarr .*\n.*\n.*num_clips'):
    evaluate(workdir, **other)
  shutil.rmtree(workdir / 'features/test.zarr')
  assert evaluate(workdir, **other).rows == found.rows[2:]


def test_head_fitted_without_a_broken_example_is_rejected_once_it_is_mended(
    completed, tmp_path
):
  workdir = shutil.copytree(completed[0], tmp_path / 'work')
  shutil.rmtree(workdir / 'features/train.zarr')
  mended = [*TRAIN]
  mended[3] = tiny_examples.Record(3)
  with pytest.raises(ValueError, match="skipped: saved .'clip 3'., now .."):
    evaluate(workdir, train=mended)


def test_learning_rate_whose_loss_is_not_finite_is_left_out(tmp_path):
  good = dict(train=TRAIN[4:], num_steps=4)
  found = evaluate(tmp_path, learning_rates=(1e38, 0.1), **good)
  assert 'nan at 1e+38, ' in found.notes[-1]
  assert np.isfinite(found.scores['loss'])
  with pytest.raises(health.NonFiniteError):
    evaluate(tmp_path / 'none', learning_rates=(1e38,), **good)


def test_invalid_settings_and_examples_are_rejected(tmp_path):
  with pytest.raises(ValueError, match='there must be test examples, got none'):
    evaluate(tmp_path, test=[])
  with pytest.raises(ValueError, match='2 training .* have the name clip 1'):
    evaluate(tmp_path, train=[*TRAIN, TRAIN[1]])
  with pytest.raises(ValueError, match='needs features.is_kept=False'):
    evaluate(tmp_path, is_augmented=True)
  with pytest.raises(ValueError, match='learning_rates must have at least'):
    evaluate(tmp_path, learning_rates=())
  with pytest.raises(TypeError, match='momentum'):
    evaluate(tmp_path, momentum=0.9)
  assert not (tmp_path / 'classes').exists()
