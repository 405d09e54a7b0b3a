"""Fitted heads: against plain optax, interrupted, refused, and predictions."""

import jax
import numpy as np
import optax
import pytest

from rvm_jax.evals.fitting import feature_store
from rvm_jax.evals.fitting import fit as fit_lib
from rvm_jax.evals.fitting import stream as stream_lib
from tests.evals import tiny_examples

MODEL = tiny_examples.encoder()
RECORDS = tiny_examples.records(24)
HEAD = tiny_examples.Head()
SETTINGS = dict(
    learning_rate=0.1,
    seed=0,
    num_steps=7,
    batch_size=8,
    num_microbatches=1,
    warmup_steps=1,
    final_learning_rate=1e-7,
    weight_decay=1e-4,
    beta1=0.9,
    beta2=0.999,
    clip_norm=1.0,
    max_bad_share=0.1,
    save_every=3,
    log_every=2,
)


class Stopped(Exception):
  """Raised in place of the end of the process."""


def stream(kind, stop=None):
  """Returns batches of RECORDS.

  Args:
    kind: 'stored' or 'augmented'.
    stop: number of the batch that raises `Stopped`; None for none.
  """
  if kind == 'stored':
    made = stream_lib.of_stored(Rows(), RECORDS, batch_size=8, seed=0)
  else:
    made = stream_lib.of_records(
        MODEL, RECORDS, batch_size=8, seed=0, is_augmented=True, num_workers=0
    )
  if stop:
    finish, count = made._finish, iter(range(stop + 1))

    def interrupt(batch):
      if next(count) == stop:
        raise Stopped
      return finish(batch)

    made._finish = interrupt
  return made


class Rows:
  """Rows of features as a store has them, computed on the spot."""

  def __len__(self):
    return len(RECORDS)

  def __getitem__(self, row):
    example = RECORDS[row].read(None)
    features = feature_store.encode_frames(MODEL, example['frames'][None], 1)[0]
    return {
        'features': features.astype(np.float16),
        'label': example['label'],
        'number': np.int32(row),
    }


def fit(workdir, kind='stored', stop=None, head=HEAD, identity=None, **changes):
  return fit_lib.fit(
      head,
      stream(kind, stop),
      str(workdir),
      identity or {'encoder': 'raw:8'},
      **SETTINGS | changes,
  )


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('whole')
  return workdir, fit(workdir)


def assert_same(found, expected):
  jax.tree.map(
      lambda x, y: np.testing.assert_array_equal(x, y, strict=True),
      jax.device_get(found),
      jax.device_get(expected),
  )


@pytest.mark.parametrize('kind', ['stored', 'augmented'])
def test_interrupted_fit_equals_uninterrupted(kind, tmp_path, whole):
  expected = whole[1] if kind == 'stored' else fit(tmp_path / 'whole', kind)
  # Batch 0 is read by `first`. Then 5 steps are done, of which 3 are saved.
  with pytest.raises(Stopped):
    fit(tmp_path / 'stopped', kind, stop=6)
  saved = [path.name for path in (tmp_path / 'stopped/checkpoints').iterdir()]
  assert saved == ['3']
  assert_same(fit(tmp_path / 'stopped', kind), expected)


def test_fit_equals_a_few_lines_of_optax(whole):
  schedule = optax.warmup_cosine_decay_schedule(0, 0.1, 1, 7, 1e-7)
  optimizer = optax.chain(
      optax.clip_by_global_norm(1.0),
      optax.adamw(
          schedule,
          b2=0.999,
          weight_decay=1e-4,
          mask={'Dense_0': {'kernel': True, 'bias': False}},
      ),
  )
  made = stream('stored')
  rng = jax.random.split(jax.random.key(0))[1]
  params = HEAD.init(rng, made.first(1)['features'].astype('f4'), {})['params']
  state = optimizer.init(params)

  def loss(params, batch):
    outputs = HEAD.apply({'params': params}, batch['features'], batch)
    return HEAD.loss(outputs, batch).mean()

  batches = made.iterator()
  for _ in range(7):
    batch = next(batches)
    batch['features'] = batch['features'].astype('f4')
    taken = {key: batch[key] for key in ('features', 'label')}
    gradient = jax.grad(loss)(params, taken)
    updates, state = optimizer.update(gradient, state, params)
    params = optax.apply_updates(params, updates)
  batches.close()
  jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6),
      jax.device_get(whole[1]),
      jax.device_get(params),
  )


def test_number_of_microbatches_does_not_change_the_parameters(tmp_path, whole):
  found = fit(tmp_path, num_microbatches=2)
  jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6),
      jax.device_get(found),
      jax.device_get(whole[1]),
  )


def test_fitted_head_is_not_fitted_again(whole):
  workdir, params = whole
  assert_same(fit(workdir, stop=1), params)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(identity={'encoder': 'x'}), 's.encoder: saved raw:8, now x'),
        (dict(head=tiny_examples.Head(3)), 'head.width: saved 2, now 3'),
        (
            dict(weight_decay=1.0),
            'config.protocol.training.weight_decay: saved 0.0001, now 1.0',
        ),
        (dict(num_steps=9), 'training.num_steps: saved 7, now 9'),
    ],
)
def test_workdir_with_another_protocol_is_refused(whole, changes, message):
  with pytest.raises(ValueError, match='written with other settings') as error:
    fit(whole[0], **changes)
  assert message in str(error.value).replace("'", '')
  with pytest.raises(ValueError, match='^num_steps=6 must be at least the 7 '):
    fit(whole[0], num_steps=6)


def test_contradictory_settings_are_refused(tmp_path):
  with pytest.raises(ValueError, match='=9 must .* 2 devices x 1 .* 8 or 10'):
    fit(tmp_path, batch_size=9)
  with pytest.raises(ValueError, match='_steps=7 must be below .*steps=7'):
    fit(tmp_path, warmup_steps=7)


def test_predictions_are_those_of_each_example_alone(whole):
  _, params = whole
  half = jax.tree.map(lambda x: x / 2, params)
  rows = [Rows()[i] for i in range(21)]
  batches = [
      {k: np.stack([x[k] for x in part]) for k in part[0]}
      for part in (rows[:16], rows[16:])
  ]
  found = list(fit_lib.predict(HEAD, [params, half], batches))
  assert [int(x['number']) for x, _ in found] == list(range(21))
  dense = jax.device_get(params['Dense_0'])
  for row, (ground_truth, predictions) in zip(rows, found):
    assert ground_truth.keys() == {'label', 'number'}
    mean = row['features'].astype(np.float32).mean((0, 1))
    logits = mean @ dense['kernel'] + dense['bias']
    for scale, prediction in zip((1, 0.5), predictions, strict=True):
      odds = np.exp(scale * (logits - logits.max()))
      np.testing.assert_allclose(
          prediction['probabilities'], odds / odds.sum(), rtol=1e-4
      )
      assert prediction['probabilities'].argmax() == ground_truth['label']
