"""Tests the command: exact features, complete stores, and kills in between."""

import functools
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

import av
import numpy as np
import pytest

from rvm_jax import streaming
from rvm_jax.features import __main__ as command
from tests.features import stores

ROOT = pathlib.Path(__file__).parents[2]
TINY = ROOT / 'tests' / 'golden' / 'rvm_tiny_params.npz'


@pytest.fixture(scope='module', autouse=True)
def load_once():
  """Loads and compiles the encoder of each checkpoint once for all tests."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(streaming, 'load', functools.cache(streaming.load))
    yield


@pytest.fixture(scope='module')
def whole(videos, tmp_path_factory):
  """Folder of the stores of both videos, made without an interruption."""
  out = tmp_path_factory.mktemp('whole')
  assert run(videos / 'long.mp4', videos / 'short.avi', out=out) == 0
  return out


def arguments(*paths, out, flags=()):
  places = [f'--checkpoint={TINY}', f'--out={out}']
  return [*map(str, paths), *places, *flags]


def run(*paths, out, flags=()):
  return command.main(arguments(*paths, out=out, flags=flags))


def test_store_holds_the_features_of_the_encoder(videos, whole):
  encoder = streaming.load(str(TINY))
  for name, num_frames in (('long.mp4', 700), ('short.avi', 20)):
    store = whole / name.replace(name[-4:], '.zarr')
    # Both sides are cut down to multiples of 16.
    frames = stores.decode(videos / name)[:, 4:36, 6:54]
    expected = encoder(frames)
    patches, cls = stores.read(store, 'patches'), stores.read(store, 'cls')
    assert patches.dtype == cls.dtype == np.float32
    assert patches.shape == (num_frames, 2, 3, 48)
    np.testing.assert_allclose(patches, expected.patches, atol=2e-5)
    np.testing.assert_allclose(cls, expected.cls, atol=2e-5)
    np.testing.assert_allclose(
        stores.read(store, 'timestamps'),
        np.arange(num_frames) / stores.RATE,
        atol=1e-6,
    )


def test_attributes_of_the_store_say_what_made_it(videos, whole):
  found = json.loads((whole / 'long.zarr' / '.zattrs').read_text())
  source = videos / 'long.mp4'
  for key, value in {
      'complete': True,
      'num_frames': 700,
      'num_frames_claimed': 700,
      'notes': [],
      'grid': [2, 3],
      'patch': 16,
      'checkpoint_path': str(TINY),
      'source_path': str(source),
      'source_size': source.stat().st_size,
      'source_mtime_ns': source.stat().st_mtime_ns,
      'rvm_jax': '0.1.0',
  }.items():
    assert found[key] == value, key
  assert len(found['checkpoint_fingerprint']) == 16
  assert found['model']['width'] == 48 and found['model']['core_layers'] == 2
  assert found['preprocessing']['box_x0_y0_x1_y1'] == [6, 4, 54, 36]
  assert found['preprocessing']['height_width'] == [32, 48]
  names = [path.name for path in whole.rglob('*')]
  assert not [n for n in names if 'unfinished' in n or n.endswith('.part')]


def test_killed_run_continues_to_the_same_store(videos, whole, tmp_path):
  store = tmp_path / 'long.zarr'
  command = [sys.executable, '-m', 'rvm_jax.features']
  process = subprocess.Popen(
      command + arguments(videos / 'long.mp4', out=tmp_path),
      cwd=ROOT,
      stderr=subprocess.DEVNULL,
  )
  while not (store / 'patches' / '6.0.0.0').exists():
    assert process.poll() is None, 'the command ended before it was killed'
    time.sleep(0.002)
  process.kill()
  assert process.wait() == -signal.SIGKILL
  assert not json.loads((store / '.zattrs').read_text())['complete']
  with np.load(store / 'unfinished.npz') as progress:
    assert 80 <= progress['num_frames'] < 640
  written = (store / 'patches' / '0.0.0.0').stat().st_mtime_ns
  assert run(videos / 'long.mp4', out=tmp_path) == 0
  assert stores.contents(store) == stores.contents(whole / 'long.zarr')
  assert written == (store / 'patches' / '0.0.0.0').stat().st_mtime_ns


def test_complete_store_is_not_written_again(
    videos, whole, monkeypatch, capsys
):
  times = {p: p.stat().st_mtime_ns for p in whole.rglob('*')}
  monkeypatch.setattr(streaming.Encoder, '__call__', None)
  assert run(videos / 'long.mp4', videos / 'short.avi', out=whole) == 0
  assert times == {p: p.stat().st_mtime_ns for p in whole.rglob('*')}
  assert f'{whole}/long.zarr: 700 frames' in capsys.readouterr().out


def test_store_made_with_other_settings_is_refused(
    videos, whole, tmp_path, capsys
):
  def run_again(flags):
    return run(videos / 'short.avi', out=whole, flags=flags)

  before = stores.contents(whole / 'short.zarr')
  assert run_again(['--height=32', '--fit=stretch']) == 1
  assert 'preprocessing.box_x0_y0_x1_y1: saved' in capsys.readouterr().err
  assert run_again(['--dtype=float16']) == 1
  assert "'float32'" in capsys.readouterr().err
  with np.load(TINY) as archive:
    params = dict(archive)
  params['cls_token'] += 1
  np.savez(tmp_path / 'other.npz', **params)
  assert run_again([f'--checkpoint={tmp_path}/other.npz']) == 1
  assert 'checkpoint_fingerprint: saved' in capsys.readouterr().err
  (tmp_path / 'short.avi').write_bytes(
      (videos / 'short.avi').read_bytes() + bytes(8)
  )
  assert run(tmp_path / 'short.avi', out=whole) == 1
  assert 'source_size: saved' in capsys.readouterr().err
  assert stores.contents(whole / 'short.zarr') == before


def test_flags_set_size_and_dtype_of_the_features(videos, tmp_path):
  flags = ['--height=32', '--width=32', '--dtype=float16']
  assert run(videos / 'short.avi', out=tmp_path, flags=flags) == 0
  found = stores.read(tmp_path / 'short.zarr', 'patches')
  assert found.dtype == np.float16 and found.shape == (20, 2, 2, 48)
  attributes = json.loads((tmp_path / 'short.zarr' / '.zattrs').read_text())
  assert attributes['preprocessing']['box_x0_y0_x1_y1'] == [10, 0, 50, 40]


def test_features_too_large_for_the_dtype_are_an_error(
    videos, tmp_path, monkeypatch, capsys
):
  large = streaming.Features(
      np.full((16, 2, 3, 48), 7e4), np.zeros((16, 48)), np.zeros((1, 7, 48))
  )
  monkeypatch.setattr(streaming.Encoder, '__call__', lambda *_: large)
  flags = ['--dtype=float16']
  assert run(videos / 'short.avi', out=tmp_path, flags=flags) == 1
  assert 'not finite numbers in float16' in capsys.readouterr().err


def test_damaged_video_gives_its_good_frames_and_notes(
    videos, whole, tmp_path, capsys
):
  (tmp_path / 'text.mp4').write_text('no video')
  data = bytearray((videos / 'short.avi').read_bytes())
  with av.open(str(videos / 'short.avi')) as container:
    packets = [p for p in container.demux(video=0) if p.size]
  for packet in packets[7:9]:
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
  (tmp_path / 'short.avi').write_bytes(data)
  paths = [tmp_path / 'text.mp4', tmp_path / 'short.avi']
  assert run(*paths, out=tmp_path) == 1
  output = capsys.readouterr()
  assert f'{tmp_path}/text.mp4 failed: Invalid data' in output.err
  assert not (tmp_path / 'text.zarr').exists()
  store = tmp_path / 'short.zarr'
  notes = json.loads((store / '.zattrs').read_text())['notes']
  assert notes[0].startswith('between frame 6 (0.24 s) and frame 7 (0.36 s): ')
  assert notes[1] == 'the header claims 20 frames, 18 are good'
  assert all(f'  {note}\n' in output.out for note in notes)
  kept = np.delete(np.arange(20), [7, 8])
  np.testing.assert_allclose(
      stores.read(store, 'timestamps'), kept / stores.RATE
  )
  frames = stores.decode(videos / 'short.avi')[kept, 4:36, 6:54]
  expected = streaming.load(str(TINY))(frames)
  np.testing.assert_allclose(
      stores.read(store, 'patches'), expected.patches, atol=2e-5
  )


def test_full_disk_stops_the_run_and_the_same_command_continues(
    videos, whole, tmp_path, capsys
):
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
  try:
    assert run(videos / 'short.avi', out=tmp_path) == 1
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
  error = capsys.readouterr().err
  assert 'short.zarr cannot be written' in error and 'too large' in error
  assert 'the same command goes on' in error
  assert run(videos / 'short.avi', out=tmp_path) == 0
  assert stores.contents(tmp_path / 'short.zarr') == stores.contents(
      whole / 'short.zarr'
  )


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--height=40'], 'height must be .* got 40; take 32 or 48'),
        (['--checkpoint=nothing.npz'], 'No such file .* nothing.npz'),
        (['--checkpoint=dino:x'], 'at dino:x, and dino is none of dinov2, '),
        (['--checkpoint={tmp_path}/other.npz'], 'not an RVM checkpoint'),
        (['--checkpoint={tmp_path}/text.npz'], 'not a plain .npz archive'),
        (['--out={tmp_path}/text.npz'], 'File exists: .*text.npz'),
        (['--out=/proc/nowhere'], '/proc/nowhere'),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(
    videos, tmp_path, capsys, flags, message
):
  np.savez(tmp_path / 'other.npz', **{'backbone.weight': np.zeros(3)})
  (tmp_path / 'text.npz').write_text('no archive')
  flags = [flag.format(tmp_path=tmp_path) for flag in flags]
  assert run(videos / 'short.avi', out=tmp_path / 'out', flags=flags) == 2
  error = capsys.readouterr().err.replace("'", '')
  assert error.startswith('error: ') and re.search(message, error)


def test_fit_without_a_size_is_refused(tmp_path, capsys):
  with pytest.raises(SystemExit, match='2'):
    run('a.mp4', out=tmp_path, flags=['--fit=crop'])
  assert '--fit=crop needs --height or --width' in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


def test_two_videos_of_one_name_are_refused(videos, tmp_path, capsys):
  path = tmp_path / 'short.mp4'
  path.touch()
  assert run(videos / 'short.avi', path, out=tmp_path) == 2
  assert f'both go into {tmp_path}/short.zarr' in capsys.readouterr().err
  assert os.listdir(tmp_path) == ['short.mp4']
