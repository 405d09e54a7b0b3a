"""The training loop: a stop at any moment loses no step and no evaluation.

The model is a single number that is fitted to the mean of random frames.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.storage import json_lines
from rvm_jax.training import loop
from tests import tiny
from tests.training import stopping


class Mean:
  """Predicts the mean of a batch."""

  batch = {'source': jax.ShapeDtypeStruct((4, 2), 'float32')}

  def init(self, rng):
    return {'mean': jax.random.normal(rng, (1,))}

  def sample(self, rng, batch):
    return (batch['source'],)

  def loss(self, params, x):
    return jnp.square(params['mean'][None] - x).mean()

  def cast(self, params):
    return params

  def is_core(self, path):
    return False


class Numbers:
  """A stream of batches that depend on nothing but their number."""

  def iterator(self):
    self.at = 0
    return self

  def __next__(self):
    self.at += 1
    return {
        'source': np.random.default_rng(self.at).random((4, 2), np.float32),
        'clip': np.full(4, self.at),
        'skipped': np.zeros(4, np.int32),
    }

  def get_state(self):
    return {'at': self.at}

  def set_state(self, state):
    self.at = state['at']

  def close(self):
    pass

  def describe(self, clip):
    return str(clip)


@pytest.fixture
def train(tmp_path):
  """Function that trains; it returns the last mean and the evaluated means.

  The evaluated means are those of all calls so far.
  """
  evaluated = []

  def evaluator(objective, params):
    evaluated.append(float(params['mean'][0]))
    return {}, {}

  def train_(stop, workdir=tmp_path / 'run'):
    config = tiny.get_config()
    config.eval_every = 3
    config.optimizer.learning_rate = 0.1
    state = loop.train(
        config, workdir, Mean(), Numbers(), {'mean': evaluator}, stop=stop
    )
    return float(state.params['mean'][0]), list(evaluated)

  return train_


@pytest.fixture
def whole(train, tmp_path):
  """The last mean and the means at steps 0, 3 and 6 of a run without a stop."""
  mean, evaluated = train(stopping.StopAt(), tmp_path / 'whole')
  assert len(evaluated) == 3
  assert len(set(evaluated)) == 3
  return mean, evaluated


def stop(train, message, **moment):
  with pytest.raises(loop.Preempted) as caught:
    train(stopping.StopAt(**moment))
  assert message in str(caught.value)


def resume(train, whole):
  """Trains to the end; returns the evaluations since `whole`."""
  mean, evaluated = train(stopping.StopAt())
  assert mean == whole[0]
  return evaluated[3:]


@pytest.mark.parametrize('step', [1, 2, 4, 5])
def test_train_stopped_at_a_step_saves_and_goes_on(train, whole, step):
  stop(train, f'stopped at step {step}, all saved', step=step)
  assert resume(train, whole) == whole[1]


def test_train_stopped_in_the_first_evaluation_starts_anew(train, whole):
  stop(train, 'stopped at step 0, there was nothing to save', check=1)
  assert resume(train, whole) == whole[1]


@pytest.mark.parametrize(
    'step, moment',
    [
        (3, dict(step=3)),
        (3, dict(check=2)),
        (6, dict(step=6)),
        (6, dict(check=3)),
    ],
)
def test_train_makes_up_for_an_evaluation_that_a_stop_prevented(
    train, whole, step, moment
):
  stop(train, f'stopped at step {step}, all saved', **moment)
  assert resume(train, whole) == whole[1]


def test_train_stopped_again_before_the_evaluation_makes_up_for_it(
    train, whole
):
  stop(train, 'stopped at step 3, all saved', step=3)
  stop(train, 'stopped at step 3, there was nothing to save', check=1)
  assert resume(train, whole) == whole[1]


def test_train_writes_what_each_start_did_to_the_ledger(train, tmp_path):
  stop(train, 'stopped at step 3', step=3)
  train(stopping.StopAt())
  lines = json_lines.read(tmp_path / 'run' / 'ledger.jsonl')
  # A line of progress every 2 steps, an evaluation every 3, a checkpoint every
  # 2. The evaluation after step 3 is made up for.
  assert [(line['event'], line['step']) for line in lines] == [
      ('start', 0),
      ('evaluation', 0),
      ('compile', 1),
      ('steps', 2),
      ('save', 2),
      ('saved', 3),
      ('steps', 3),
      ('save', 3),
      ('end', 3),
      ('start', 3),
      ('evaluation', 3),
      ('compile', 4),
      ('save', 4),
      ('saved', 5),
      ('steps', 6),
      ('evaluation', 6),
      ('save', 6),
      ('end', 6),
  ]
  ends = [line for line in lines if line['event'] == 'end']
  assert [line['code'] for line in ends] == [75, 0]
  assert [line.get('lost') for line in lines if 'jax' in line] == [None, 0]
  # No rates are known at step 4, whose step was the first after a start.
  metrics = json_lines.read(tmp_path / 'run' / 'metrics.jsonl')
  rates = {
      line['step']: 'train/clips_per_second' in line
      for line in metrics
      if 'train/loss' in line
  }
  assert rates == {2: True, 4: False, 6: True}


def test_train_stopped_before_its_first_step_leaves_all_as_it_was(train, whole):
  stop(train, 'stopped at step 4, all saved', step=4)
  stop(train, 'stopped at step 4, there was nothing to save', step=0)
  assert resume(train, whole) == whole[1]


def test_train_of_a_finished_run_does_nothing(train, whole):
  assert resume(train, whole) == whole[1]
  assert resume(train, whole) == whole[1]
