"""Tests the evaluator of the loss on videos that are kept out of training."""

import jax
import numpy as np
import pytest

from rvm_jax.data import pipeline
from rvm_jax.evals.in_training import held_out
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training.objectives import pretraining
from tests import tiny
from tests import video_files

OBJECTIVE = pretraining.from_config(tiny.get_config())


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
  """Reduces the evaluation to three batches of four samples."""
  monkeypatch.setattr(held_out, 'NUM_SAMPLES', 10)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
  """A config with twelve videos, of which two are kept out."""
  folder = tmp_path_factory.mktemp('videos')
  for number in range(12):
    video_files.write_video(folder / f'{number}.mp4', 60)
  config = tiny.get_config()
  config.data.update(sources=(str(folder),), held_out_share=0.2)
  return config


@pytest.fixture(scope='module')
def params():
  return jax.jit(OBJECTIVE.init)(jax.random.key(0))


def evaluate(config, params, check=lambda: None):
  data = pipeline.Pipeline(**config.data, seed=config.seed)
  with jax.set_mesh(mesh_lib.make_mesh(config.fsdp)):
    return held_out.HeldOutEvaluator(config, data, check)(OBJECTIVE, params)


def test_loss_is_the_mean_over_the_samples(config, params):
  checks = []
  scalars, pictures = evaluate(config, params, lambda: checks.append(0))
  # It is called before each batch is read, before each loss, and twice around
  # the reconstruction of the picture.
  assert len(checks) == 3 + 3 + 2

  @jax.jit
  def compute_loss(number, batch):
    rng = jax.random.fold_in(jax.random.key(0), number)
    return OBJECTIVE.loss(params, *OBJECTIVE.sample(rng, batch))

  data = pipeline.Pipeline(**config.data, seed=0)
  losses = []
  for number in range(3):
    batch = data.read_held_out(range(4 * number, 4 * number + 4))
    batch = {key: batch[key] for key in OBJECTIVE.batch}
    losses.append(compute_loss(number, batch))
  assert scalars == {'loss': pytest.approx(float(np.mean(losses)), rel=1e-5)}
  (sheet,) = pictures.values()
  assert sheet.dtype == np.uint8 and sheet.shape[0] >= 4 * 32


def test_loss_does_not_depend_on_seed_workers_or_split_of_parameters(
    config, params
):
  expected, pictures = evaluate(config, params)
  changed = config.copy_and_resolve_references()
  changed.seed, changed.fsdp, changed.data.num_workers = 7, 2, 2
  scalars, again = evaluate(changed, params)
  assert scalars['loss'] == pytest.approx(expected['loss'], rel=1e-5)
  np.testing.assert_array_equal(pictures['clips'], again['clips'])
