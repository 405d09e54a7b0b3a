"""Runs start from the parameters of a checkpoint, or refuse it."""

import jax
from jax.sharding import NamedSharding, PartitionSpec
import numpy as np
import pytest

from rvm_jax import weights
from rvm_jax.weights import released
from rvm_jax.weights import trees
from tests import commands


@pytest.fixture(scope='module')
def saved(tiny):
  """The parameters of `tiny`."""
  _, params = weights.load(tiny)
  return params


@pytest.fixture
def fresh(saved):
  """A tree like `saved` of ones, split over two devices where possible."""
  mesh = jax.make_mesh((2,), ('x',))

  def ones(array):
    spec = PartitionSpec('x') if len(array) % 2 == 0 else PartitionSpec()
    return jax.device_put(
        np.ones(array.shape, np.float32), NamedSharding(mesh, spec)
    )

  return jax.tree.map(ones, saved)


def init_from(path, params, fresh_decoder):
  """Returns `params` with the parameters in `path` put in their place."""
  shapes = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params
  )
  found = weights.read_initial(path, shapes, fresh_decoder=fresh_decoder)
  return weights.put_initial(found, params)


def test_put_initial_places_every_parameter_on_the_devices_of_the_run(
    source, saved, fresh
):
  found = init_from(source, fresh, fresh_decoder=False)
  assert jax.tree.structure(found) == jax.tree.structure(fresh)
  for key, array in trees.flatten(saved).items():
    other = trees.flatten(found)[key]
    np.testing.assert_array_equal(other, array, err_msg=key)
    assert other.sharding == trees.flatten(fresh)[key].sharding, key
  kernel = found['encoder']['layers_0']['mlp']['dense_in']['kernel']
  assert [x.data.shape for x in kernel.addressable_shards] == [(24, 96)] * 2


def save_encoder(path, params):
  """Saves the parameters without the decoder; returns `path`."""
  kept = {k: x for k, x in params.items() if not released.is_decoder(k)}
  weights.save_npz(path, kept)
  return path


@pytest.mark.parametrize('has_decoder', [False, True])
def test_put_initial_keeps_a_fresh_decoder_and_logs_its_keys(
    tiny, saved, fresh, tmp_path, caplog, has_decoder
):
  path = tiny if has_decoder else save_encoder(tmp_path / 'e.npz', saved)
  with caplog.at_level('INFO', logger='absl'):
    found = init_from(path, fresh, fresh_decoder=True)
  (listed,) = [m for m in caplog.messages if m.startswith('Initialised afresh')]
  listed = set(listed.split()[2:])
  for key, array in trees.flatten(found).items():
    is_fresh = released.is_decoder(key)
    assert (key in listed) == is_fresh, key
    expected = trees.flatten(fresh if is_fresh else saved)[key]
    np.testing.assert_array_equal(array, expected, err_msg=key)


def test_read_initial_refuses_a_file_without_decoder_unless_it_is_fresh(
    saved, fresh, tmp_path
):
  path = save_encoder(tmp_path / 'e.npz', saved)
  with pytest.raises(ValueError, match='e.npz holds encoder and core only'):
    init_from(path, fresh, fresh_decoder=False)


def test_read_initial_refuses_a_decoder_with_another_content_first(
    saved, fresh, tmp_path
):
  path = tmp_path / 'a.safetensors'
  weights.save_safetensors(path, saved, content_first=True)

  def read(model, fresh_decoder=False):
    return weights.read_initial(
        path, fresh, fresh_decoder=fresh_decoder, model=model
    )

  with pytest.raises(ValueError) as error:
    read({'content_first': False})
  assert 'config.model.content_first=False must be True' in str(error.value)
  assert any(map(released.is_decoder, read({'content_first': True})))
  # Nothing of the decoder is used.
  read({'content_first': False}, fresh_decoder=True)


@pytest.mark.parametrize('fresh_decoder', [False, True])
def test_read_initial_lists_all_differences_to_another_model(
    tiny, fresh, fresh_decoder
):
  del fresh['rnn_core']['input_reset']
  fresh['cls_token'] = fresh['cls_token'][:, :10]
  fresh['more'] = fresh['cls_token']
  with pytest.raises(ValueError) as error:
    init_from(tiny, fresh, fresh_decoder=fresh_decoder)
  text = str(error.value)
  assert '1 missing:\n    more' in text
  assert '1 unused:\n    rnn_core/input_reset/kernel' in text
  assert 'cls_token: expected float32[1, 10], got float32[1, 48]' in text


@pytest.fixture
def train(run):
  """Function that runs the training command on two devices.

  It returns the exit code and the output.
  """

  def train_(workdir, *overrides):
    return run(
        workdir,
        '--config.num_steps=2',
        # At a learning rate of zero a run keeps its first parameters.
        '--config.optimizer.learning_rate=0',
        '--config.fsdp=2',
        # Evaluating scenes would take most of the time of such a run.
        '--config.num_eval_scenes=0',
        *overrides,
        XLA_FLAGS=commands.XLA_FLAGS + '2',
    )

  return train_


def test_run_starts_from_another_run_and_resumes_from_its_own_checkpoint(
    train, tmp_path
):
  first, second, third = (tmp_path / name for name in ('1', '2', '3'))
  code, output = train(first)
  assert code == 0, output
  _, params = weights.load(first)

  start = f'--config.checkpoint.init_from={first}'
  code, output = train(second, '--config.seed=1', start)
  assert code == 0, output
  assert f'Parameters from {first}' in output and 'step 2/2' in output
  _, found = weights.load(second)
  assert trees.fingerprint(found) == trees.fingerprint(params)

  gone = '--config.checkpoint.init_from=/gone'
  code, output = train(second, '--config.seed=1', gone)
  assert code == 0, output
  assert 'Resumed from' in output and 'Parameters from' not in output

  path = save_encoder(tmp_path / 'encoder.npz', params)
  start = f'--config.checkpoint.init_from={path}'
  code, output = train(third, '--config.seed=1', start)
  assert code == 1
  assert 'encoder.npz holds encoder and core only' in output
  fresh = '--config.checkpoint.fresh_decoder=True'
  code, output = train(third, '--config.seed=1', start, fresh)
  assert code == 0, output
  assert 'Initialised afresh:\n  decoder/output_norm/bias' in output
  _, found = weights.load(third)
  found, params = trees.flatten(found), trees.flatten(params)
  for key in ('tokenizer/patch_embedding/Conv_0/kernel', 'cls_token'):
    np.testing.assert_array_equal(found[key], params[key])
  assert (found['mask_token'] != params['mask_token']).any()
