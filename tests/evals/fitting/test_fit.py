"""Tests fitting heads: parameters, interruptions, errors and predictions."""

import jax
import numpy as np
import optax
import pytest

from rvm_jax.evals.fitting import encoding
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
  """Raised where a real run would be killed."""


def make_stream(kind, stop=None):
  """Returns a stream of batches of RECORDS.

  Args:
    kind: 'stored' for features as in a store, 'augmented' for features of
      augmented examples.
    stop: number of the batch that raises `Stopped` instead; None if no batch
      does. Batch 0 is the one that `fit` takes by `first`.
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
  """Stands in for a store; features of a row are computed when it is read."""

  def __len__(self):
    return len(RECORDS)

  def __getitem__(self, row):
    example = RECORDS[row].read(None)
    features = encoding.encode_frames(MODEL, example['frames'][None], 1)[0]
    return {
        'features': features.astype(np.float16),
        'label': example['label'],
        'number': np.int32(row),
    }


def fit(workdir, kind='stored', stop=None, head=HEAD, identity=None, **changes):
  """Fits a head with SETTINGS, some of them changed."""
  return fit_lib.fit(
      head,
      make_stream(kind, stop),
      str(workdir),
      identity or {'encoder': 'raw:8'},
      **SETTINGS | changes,
  )


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  """Returns the working directory and the parameters of a completed fit."""
  workdir = tmp_path_factory.mktemp('whole')
  return workdir, fit(workdir)


def assert_equal(found, expected):
  """Asserts that two trees of arrays are equal bit for bit."""
  jax.tree.map(
      lambda x, y: np.testing.assert_array_equal(x, y, strict=True),
      jax.device_get(found),
      jax.device_get(expected),
  )


@pytest.mark.parametrize('kind', ['stored', 'augmented'])
def test_interrupted_fit_equals_uninterrupted(kind, tmp_path, uninterrupted):
  expected = (
      uninterrupted[1] if kind == 'stored' else fit(tmp_path / 'whole', kind)
  )
  # Five steps are done before batch 6, and a checkpoint is saved after three.
  with pytest.raises(Stopped):
    fit(tmp_path / 'stopped', kind, stop=6)
  saved = [path.name for path in (tmp_path / 'stopped/checkpoints').iterdir()]
  assert saved == ['3']
  assert_equal(fit(tmp_path / 'stopped', kind), expected)


def test_fit_agrees_with_a_plain_loop_of_optax(uninterrupted):
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
  stream = make_stream('stored')
  rng = jax.random.split(jax.random.key(0))[1]
  params = HEAD.init(rng, stream.first(1)['features'].astype('f4'), {})[
      'params'
  ]
  state = optimizer.init(params)

  def loss(params, batch):
    outputs = HEAD.apply({'params': params}, batch['features'], batch)
    return HEAD.loss(outputs, batch).mean()

  batches = stream.iterator()
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
      jax.device_get(uninterrupted[1]),
      jax.device_get(params),
  )


def test_number_of_microbatches_does_not_change_the_parameters(
    tmp_path, uninterrupted
):
  found = fit(tmp_path, num_microbatches=2)
  jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6),
      jax.device_get(found),
      jax.device_get(uninterrupted[1]),
  )


def test_completed_fit_takes_no_further_step(uninterrupted):
  workdir, params = uninterrupted
  assert_equal(fit(workdir, stop=1), params)


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
def test_workdir_of_another_head_or_other_settings_is_rejected(
    uninterrupted, changes, message
):
  with pytest.raises(ValueError, match='written with other settings') as error:
    fit(uninterrupted[0], **changes)
  assert message in str(error.value).replace("'", '')
  with pytest.raises(
      ValueError, match='^config.num_steps=6 must be at least the 7 '
  ):
    fit(uninterrupted[0], num_steps=6)


def test_contradictory_settings_are_rejected(tmp_path):
  with pytest.raises(ValueError, match='=9 must .* 2 devices x 1 .* 8 or 10'):
    fit(tmp_path, batch_size=9)
  with pytest.raises(ValueError, match='_steps=7 must be below .*steps=7'):
    fit(tmp_path, warmup_steps=7)


def test_predict_agrees_with_each_example_computed_alone(uninterrupted):
  _, params = uninterrupted
  half = jax.tree.map(lambda x: x / 2, params)
  # A full batch and a smaller one, which is padded.
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
