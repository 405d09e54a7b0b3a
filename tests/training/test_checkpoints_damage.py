"""A run goes on from the newest checkpoint that is not damaged."""

import os
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training import states


def truncate(checkpoint):
  for path in checkpoint.rglob('d/*'):
    os.truncate(path, path.stat().st_size // 2)


def empty(checkpoint):
  shutil.rmtree(checkpoint)
  checkpoint.mkdir()


def exchange(checkpoint):
  """Replaces the arrays by those of another step: all can be read."""
  shutil.rmtree(checkpoint / 'state')
  shutil.copytree(checkpoint.parent / '4' / 'state', checkpoint / 'state')


@pytest.mark.parametrize(
    'harm, reason',
    [
        (truncate, 'OUT_OF_RANGE'),
        (empty, 'No such file'),
        (exchange, 'params/kernel, rng, step changed since it was saved'),
        (lambda path: shutil.rmtree(path / 'state'), 'not exist'),
        (lambda path: shutil.rmtree(path / 'data'), 'have changed'),
        (lambda path: (path / 'config' / 'metadata').unlink(), 'No such file'),
        (lambda path: (path / 'config' / 'metadata').write_text('{'), 'JSON'),
    ],
    ids=['truncated', 'empty', 'exchanged', 'state', 'data', 'config', 'json'],
)
def test_restore_moves_a_damaged_checkpoint_aside_and_takes_the_one_before(
    open_run, saved, tmp_path, warnings, harm, reason
):
  saved.close()
  harm(tmp_path / 'checkpoints' / '8')
  states.assert_restores(open_run(), 6)
  (line,) = warnings
  assert line.startswith(f'{tmp_path}/checkpoints/8 is damaged: ')
  assert reason in line and '\n' not in line and len(line) < 600
  assert line.endswith(
      f' It was moved to {tmp_path}/damaged_checkpoints/8; the run resumes from'
      ' the checkpoint before it'
  )
  assert (tmp_path / 'damaged_checkpoints' / '8').is_dir()
  assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['4', '6']


def test_restore_notices_whatever_byte_of_a_checkpoint_is_changed(
    open_run, tmp_path, warnings
):
  run = open_run(workdir=tmp_path / 'whole')
  for step in (2, 4):
    run.save(step, states.make_state(step), {'at': 10 * step}, states.CONFIG)
    run.wait()
  run.close()
  folder = tmp_path / 'whole' / 'checkpoints' / '4'
  names = [p.relative_to(folder) for p in folder.rglob('*') if p.is_file()]
  assert len(names) > 8
  rng = random.Random(0)
  steps = []
  for number, name in enumerate(sorted(names)):
    workdir = tmp_path / str(number)
    shutil.copytree(tmp_path / 'whole', workdir)
    path = workdir / 'checkpoints' / '4' / name
    contents = bytearray(path.read_bytes())
    for place in rng.choices(range(len(contents)), k=32):
      contents[place] ^= rng.randrange(1, 256)
    path.write_bytes(contents)
    state, data = open_run(workdir=workdir).restore(
        states.shapes(), states.CONFIG
    )
    step = int(state.step)
    # Some of the files are not needed once the checkpoint is whole.
    assert step in (2, 4) and data == {'at': 10 * step}
    expected = states.make_state(step)
    np.testing.assert_array_equal(
        state.params['kernel'], expected.params['kernel']
    )
    assert state.rng == expected.rng
    steps.append(step)
  assert steps.count(2) >= 7
  assert len(warnings) == steps.count(2)


def test_restore_never_replaces_what_was_moved_aside(
    open_run, saved, tmp_path, warnings
):
  for step in (8, 8, 8):
    exchange(tmp_path / 'checkpoints' / str(step))
    run = open_run()
    states.assert_restores(run, 6)
    run.save(8, states.make_state(8), {'at': 80}, states.CONFIG)
    run.close()
  assert sorted(os.listdir(tmp_path / 'damaged_checkpoints')) == [
      '8',
      '8_1',
      '8_2',
  ]
  assert len(warnings) == 3


def test_restore_raises_if_no_checkpoint_is_good_and_does_so_again(
    open_run, saved, tmp_path, warnings
):
  saved.close()
  for step in (4, 6, 8):
    empty(tmp_path / 'checkpoints' / str(step))
  for _ in range(2):
    with pytest.raises(ValueError) as error:
      open_run().restore(states.shapes(), states.CONFIG)
    assert str(error.value) == (
        f'{tmp_path}/checkpoints has no good checkpoint, and'
        f' {tmp_path}/damaged_checkpoints has damaged ones. To start from'
        ' scratch, remove that folder or use another --workdir'
    )
  assert len(warnings) == 3
  assert open_run().last_saved() == 'none'


def test_restore_refuses_another_state_without_calling_it_damaged(
    open_run, saved, tmp_path, warnings
):
  other = states.shapes().replace(
      params={'kernel': jax.ShapeDtypeStruct((2,), 'float32')}
  )
  with pytest.raises(ValueError) as error:
    open_run().restore(other, states.CONFIG)
  assert str(error.value) == (
      f'{tmp_path}/checkpoints/8 holds another state than this run has:\n'
      "  params/kernel: saved 'float32[300, 400]', now 'float32[2]'\n"
      'Go on with its config, or start in another --workdir'
  )
  assert not warnings and not (tmp_path / 'damaged_checkpoints').exists()


def test_restore_takes_checkpoints_without_digests_with_a_warning(
    open_run, saved, tmp_path, warnings
):
  saved.close()
  shutil.rmtree(tmp_path / 'checkpoints' / '8' / 'digests')
  states.assert_restores(open_run(), 8)
  assert warnings == [
      (
          f'{tmp_path}/checkpoints/8 has no digests to verify it with: an'
          ' earlier version saved it'
      )
  ]


@pytest.mark.parametrize('verify', [True, False])
def test_restore_never_takes_parameters_that_are_not_finite(
    open_run, saved, tmp_path, warnings, verify
):
  state = states.make_state(9)
  kernel = state.params['kernel'].at[3, 4].set(jnp.inf)
  saved.save(
      9, state.replace(params={'kernel': kernel}), {'at': 90}, states.CONFIG
  )
  saved.close()
  states.assert_restores(open_run(verify=verify), 8)
  assert (
      '/9 is damaged: parameters are not finite (number of elements):'
      ' params/kernel (1). It was moved'
  ) in warnings[0]


def test_restore_without_verify_does_not_compare_digests(
    open_run, saved, tmp_path, warnings
):
  saved.close()
  exchange(tmp_path / 'checkpoints' / '8')
  state, data = open_run(verify=False).restore(states.shapes(), states.CONFIG)
  assert int(state.step) == 4 and data == {'at': 80}
  assert not warnings


def test_last_saved_names_a_checkpoint_that_was_read_back(
    open_run, saved, tmp_path
):
  exchange(tmp_path / 'checkpoints' / '8')
  assert saved.last_saved() == f'{tmp_path}/checkpoints/6'
  # Only `restore`, at the next start, moves the damaged one aside.
  assert not (tmp_path / 'damaged_checkpoints').exists()


def test_what_a_killed_run_left_is_removed(open_run, saved, tmp_path):
  saved.close()
  left = tmp_path / 'checkpoints' / '9.orbax-checkpoint-tmp'
  left.mkdir()
  (left / 'state').write_text('half')
  states.assert_restores(open_run(), 8)
  assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['4', '6', '8']
