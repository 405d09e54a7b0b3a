"""Spikes are found, skipped or reported, and nothing else changes."""

import json
import os
import pathlib
import subprocess
import sys

from absl import logging
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import ml_collections
import numpy as np
import optax
import pytest

from rvm_jax.training import health
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import spikes
from rvm_jax.training import step as step_lib
from rvm_jax.training import window as window_lib
from tests import commands
from tests.training import events
from tests.training import regression

GUARD = spikes.Guard(policy='skip', window=8, sigmas=6.0)


def judge(guard, values):
  """Judges steps with these losses; returns the metrics of each."""
  state = guard.watch(
      step_lib.TrainState(
          step=jnp.zeros((), jnp.int32), params=0.0, opt_state=0.0, rng=0
      )
  )
  judge_ = jax.jit(guard.judge)
  found = []
  for number, value in enumerate(values):
    metrics = {'loss': jnp.float32(value), 'gradient_norm': jnp.float32(1)}
    after = state.replace(step=state.step + 1, params=number + 1.0)
    state, more = judge_(state, after, metrics)
    found.append({key: float(x) for key, x in more.items()})
    found[-1]['params'] = float(state.params)
  return found, state


def test_judge_compares_with_the_window_before_the_step():
  values = np.random.default_rng(0).normal(5, 1, 30)
  found, _ = judge(GUARD, values)
  for i, metrics in enumerate(found):
    recent = values[i - 8 : i] if i >= 8 else None
    expected = 0 if i < 8 else (values[i] - recent.mean()) / recent.std()
    assert metrics['loss_sigmas'] == pytest.approx(expected, abs=1e-4)
    assert metrics['gradient_norm_sigmas'] == 0
    assert metrics['skipped_updates'] == 0 and metrics['params'] == i + 1


def test_judge_skips_a_spike_and_one_spike_does_not_hide_the_next():
  values = np.random.default_rng(0).normal(5, 1, 30)
  values[[12, 14]] = 1000, 100
  found, state = judge(GUARD, values)
  assert [x['params'] for x in found[10:16]] == [11, 12, 12, 14, 14, 16]
  assert found[-1]['skipped_updates'] == 2 and int(state.step) == 30
  # Low values are no spikes.
  found, _ = judge(GUARD, [*values[:12], -1000])
  assert found[-1]['params'] == 13 and found[-1]['loss_sigmas'] < -100


def test_judge_skips_nothing_before_the_window_is_full():
  found, _ = judge(GUARD, [1, 1.1, 1000, 1, 1.1, 50, 1, 1000])
  assert found[-1]['skipped_updates'] == 0


@pytest.mark.parametrize(
    'level, most', [(10, 8), (100, 30), (1e4, 70), (np.finfo('f4').max, 800)]
)
def test_judge_accepts_a_level_that_has_changed_for_good(level, most):
  guard = spikes.Guard('skip', window=128, sigmas=6.0)
  values = np.random.default_rng(1).normal(0, 1, 128 + most)
  values[128:] = np.minimum(values[128:] + level, np.finfo('f4').max)
  found, _ = judge(guard, values)
  assert found[128]['params'] == 128 and found[-1]['params'] == len(values)


def test_judge_takes_rounding_of_a_constant_loss_for_no_spike():
  found, _ = judge(GUARD, [2.0] * 10 + [np.nextafter(np.float32(2), 3)])
  assert found[-1]['skipped_updates'] == 0
  assert judge(GUARD, [2.0] * 10 + [2.1])[0][-1]['skipped_updates'] == 1
  assert judge(GUARD, [0.0] * 11)[0][-1]['skipped_updates'] == 0


def test_judge_keeps_the_bits_of_moments_in_bfloat16():
  every = np.arange(2**16, dtype=np.uint16).view(jnp.bfloat16)
  moments = every[np.isfinite(every.astype(np.float32))]
  state = GUARD.watch(
      step_lib.TrainState(
          step=jnp.zeros((), jnp.int32),
          params=jnp.zeros(()),
          opt_state=jnp.asarray(moments),
          rng=0,
      )
  )
  for loss in [2.0] * 10 + [9.0]:
    after = state.replace(opt_state=jnp.zeros_like(state.opt_state))
    metrics = {'loss': jnp.float32(loss), 'gradient_norm': jnp.float32(1)}
    judged, _ = jax.jit(GUARD.judge)(state, after, metrics)
    state = judged.replace(opt_state=state.opt_state)
    is_kept = judged.opt_state.dtype == jnp.bfloat16 and np.array_equal(
        np.asarray(judged.opt_state).view(np.uint16), moments.view(np.uint16)
    )
    assert is_kept == (loss == 9)
  assert int(state.window.skipped) == 1


@pytest.mark.parametrize(
    'how',
    [
        {},
        dict(devices=2),
        dict(devices=2, fsdp=2),
        dict(parts=2),
        dict(dtype=jnp.bfloat16),
    ],
    ids=str,
)
def test_skipped_step_keeps_the_bits_of_parameters_and_optimizer(how):
  devices, fsdp = how.get('devices', 1), how.get('fsdp', 1)
  grid = np.array(jax.devices()[:devices]).reshape(devices // fsdp, fsdp)
  mesh = Mesh(grid, mesh_lib.BATCH_AXES)
  objective = regression.Regression(how.get('dtype', jnp.float32))
  init, step = step_lib.make(
      objective,
      optax.adamw(1e-3, weight_decay=0.1),
      mesh,
      num_microbatches=how.get('parts', 1),
      guard=GUARD,
  )
  stream = regression.Numbers(spikes=(12,))
  state = init(0)
  # Zeros have a sign too.
  zeros = state.params['mean']['kernel'].at[:4].set(-0.0)
  state = state.replace(params={'mean': {'kernel': zeros}})
  taken = []
  with jax.set_mesh(mesh):
    for _ in range(14):
      batch = {'numbers': next(stream)['numbers']}
      before = jax.device_get((state.params, state.opt_state))
      state, _ = step(state, mesh_lib.to_devices(batch, mesh))
      after = jax.device_get((state.params, state.opt_state))
      taken.append(same_bits(before, after))
  assert [number + 1 for number, same in enumerate(taken) if same] == [12]
  assert int(state.step) == 14 and int(state.window.skipped) == 1


def same_bits(a, b):
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  return all(x.tobytes() == y.tobytes() for x, y in pairs)


def train(workdir, config=None, **stream):
  """Trains on a stream; returns the last state and its bytes by path."""
  state = loop.train(
      config or regression.get_config('skip'),
      workdir,
      regression.Regression(),
      regression.Numbers(**stream),
      {},
  )
  return state, {
      jax.tree_util.keystr(path): np.asarray(x).tobytes()
      for path, x in jax.tree_util.tree_leaves_with_path(
          state.replace(rng=jax.random.key_data(state.rng))
      )
  }


def test_run_skips_spikes_and_says_so(tmp_path, warnings):
  # One of the spikes is the last step before a checkpoint.
  state, _ = train(tmp_path, spikes=(15, 22))
  assert len(warnings) == 2 and int(state.window.skipped) == 2
  first, second = warnings
  assert first.startswith('step 15: loss 10')
  assert 'standard deviations above the mean of the last 8 steps' in first
  assert ' and gradient norm ' in first and '; the limit is 6. ' in first
  assert '(1 skipped so far)' in first and '(2 skipped so far)' in second
  assert 'batch: clip 60, clip 61, clip 62, ... (all are in' in first
  assert f'{tmp_path}/spikes.jsonl)' in first
  lines = (tmp_path / 'spikes.jsonl').read_text().splitlines()
  first, second = map(json.loads, lines)
  assert (first['step'], second['step']) == (15, 22)
  assert first['clips'] == [f'clip {i}' for i in range(60, 64)]

  shown = events.read(tmp_path)
  assert shown['train/skipped_updates'] == [
      (step, (step >= 15) + (step >= 22)) for step in range(1, 31)
  ]
  logged = dict(shown['train/loss'])
  assert first['loss'] == pytest.approx(logged[15]) and logged[15] > 9000
  # The schedule stands still while an update is skipped.
  config = regression.get_config()
  _, schedule = optimizer_lib.make_optimizer(num_steps=30, **config.optimizer)
  rates = dict(shown['train/learning_rate'])
  for step, updates in ((14, 13), (16, 14), (21, 19), (23, 20), (30, 27)):
    assert rates[step] == pytest.approx(float(schedule(updates)), rel=1e-6)
  count = optax.tree_utils.tree_get_all_with_path(state.opt_state, 'count')
  assert {int(x) for _, x in count} == {28}


@pytest.mark.parametrize('end', [16, 17, 23])
def test_run_resumed_around_a_spike_equals_an_uninterrupted_run(
    tmp_path, end, whole
):
  with pytest.raises(regression.Interrupted):
    train(tmp_path, spikes=(15, 22), end=end)
  assert train(tmp_path, spikes=(15, 22))[1] == whole


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """The last state of an uninterrupted run with two spikes."""
  return train(tmp_path_factory.mktemp('whole'), spikes=(15, 22))[1]


def test_run_with_policy_stop_ends_with_step_clips_and_checkpoint(tmp_path):
  stop = regression.get_config('stop')
  with pytest.raises(spikes.SpikeError) as caught:
    train(tmp_path, stop, spikes=(15,))
  for part in (
      'step 15: loss 10',
      'gradient norm ',
      'the limit is 6',
      f'Last good checkpoint: {tmp_path}/checkpoints/10',
      "config.spikes.policy='skip'",
      'clip 60\n  clip 61\n  clip 62\n  clip 63',
  ):
    assert part in str(caught.value)
  # The same policy stops at the same step, another one goes on.
  with pytest.raises(spikes.SpikeError, match='step 15: '):
    train(tmp_path, stop, spikes=(15,))
  assert int(train(tmp_path, spikes=(15,))[0].step) == 30


@pytest.mark.parametrize('policy', ['none', 'skip', 'stop'])
def test_run_stops_at_a_value_that_is_not_finite(tmp_path, policy):
  config = regression.get_config(policy)
  with pytest.raises(health.NonFiniteError, match='step 15: .*nan'):
    train(tmp_path, config, spikes=(15,), is_nan=True)


def test_policy_may_change_when_a_run_is_resumed(tmp_path, warnings):
  with pytest.raises(regression.Interrupted):
    train(tmp_path, regression.get_config('none'), end=8, spikes=(4,))
  # The window starts with step 6, so that it is full before step 14.
  with pytest.raises(regression.Interrupted):
    train(tmp_path, end=18, spikes=(14,))
  assert [x[:8] for x in warnings if x.startswith('step')] == ['step 14:']
  # A window of another length starts anew, and is not full at step 19.
  longer = regression.get_config('skip', window=9)
  with pytest.raises(regression.Interrupted):
    train(tmp_path, longer, end=23, spikes=(19,))
  assert 'step 19' not in ''.join(warnings)
  state, _ = train(tmp_path, regression.get_config('none'), spikes=(24,))
  assert type(state) is step_lib.TrainState and int(state.step) == 30
  # The optimizer has not counted the skipped step.
  assert int(optax.tree_utils.tree_get(state.opt_state[1], 'count')) == 29


def test_run_with_policy_none_writes_and_saves_nothing_about_spikes(tmp_path):
  config = regression.get_config('none')
  _, expected = train(tmp_path / 'none', config, spikes=(15,))
  assert (
      set(events.read(tmp_path / 'none'))
      & {
          'train/skipped_updates',
          'train/loss_sigmas',
      }
      == set()
  )
  saved = tmp_path / 'none' / 'checkpoints' / '30' / 'state' / '_METADATA'
  assert 'window' not in saved.read_text()
  assert not (tmp_path / 'none' / 'spikes.jsonl').exists()
  # Configs of readouts and of earlier versions have no such group.
  older = ml_collections.ConfigDict(config.to_dict())
  del older.spikes
  assert train(tmp_path / 'older', older, spikes=(15,))[1] == expected


def test_guard_without_spikes_changes_no_bit(tmp_path):
  # With the flags of the other tests the order in which XLA adds depends on
  # what else is in the program.
  flags = commands.XLA_FLAGS.replace('fusion_emitters=false', 'fusion_emitters')
  code = (
      'import sys; from tests.training import test_spikes;'
      ' test_spikes.compare_guard(sys.argv[1])'
  )
  subprocess.run(
      [sys.executable, '-c', code, str(tmp_path)],
      check=True,
      cwd=commands.ROOT,
      env=os.environ | {'XLA_FLAGS': f'{flags}2'},
  )


def compare_guard(folder):
  """Trains with and without the guard; raises unless the states are equal."""
  folder = pathlib.Path(folder)
  _, state = train(folder / 'skip')
  _, expected = train(folder / 'none', regression.get_config('none'))
  assert {x: state[x] for x in state if not x.startswith('.window')} == expected


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
  """Turns off INFO messages, which slow the tests down."""
  monkeypatch.setattr(logging, 'info', lambda *_: None)


def test_window_is_whole_on_every_device():
  mesh = mesh_lib.make_mesh(2)
  state = jax.eval_shape(
      lambda: step_lib.init_state(
          regression.Regression(), optax.sgd(1.0), 0, guard=GUARD
      )
  )
  assert isinstance(state, window_lib.WatchedState)
  shardings = mesh_lib.state_shardings(state, mesh)
  assert all(x.is_fully_replicated for x in jax.tree.leaves(shardings.window))
  assert not shardings.params['mean']['kernel'].is_fully_replicated
