"""Tests the command: its errors in one line, and what it says."""

import numpy as np
import pytest

from rvm_jax.live import __main__ as command
from rvm_jax.live import server as server_lib
from rvm_jax.weights import released
from tests.live import conftest


def run(*arguments, checkpoint=conftest.CHECKPOINT):
  return command.main([f'--checkpoint={checkpoint}', *arguments])


def error_of(capsys):
  """Returns the only line on stderr."""
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('error: ')
  return line


def test_main_names_the_address_and_needs_no_decoder(
    video, tmp_path, capsys, monkeypatch
):
  path = tmp_path / 'encoder.npz'
  with np.load(conftest.CHECKPOINT) as file:
    kept = {key: file[key] for key in file if not released.is_decoder(key)}
    assert len(kept) < len(file.files)
  np.savez(path, **kept)
  served = []

  def interrupt(server, player, title, about):
    served.append((server.url, player.advance(-1)['number'], title, about))
    raise KeyboardInterrupt

  monkeypatch.setattr(server_lib.Server, 'serve', interrupt)
  size = '--size', '64', '96'
  assert run(f'--video={video}', *size, checkpoint=path) == 0
  ((url, number, title, about),) = served
  loading, opened = capsys.readouterr().out.split('\n')[:2]
  assert loading == f'a <b>.mp4: loading {path}'
  assert opened == f'Open {url} (Ctrl-C ends)'
  assert number == 0 and title == 'a <b>.mp4'
  assert about.endswith('It sees 96 × 64 pixels as 6 × 4 patches.')


def test_main_refuses_in_one_line(video, tmp_path, make_video, capsys):
  still = make_video(tmp_path / 'still.mp4', num_frames=1)
  assert run(f'--video={still}') == 2
  assert 'two or more good frames, got 1' in error_of(capsys)
  assert run('--camera', '/dev/no_such_camera') == 2
  assert 'no camera at /dev/no_such_camera' in error_of(capsys)
  assert run(f'--video={video}', checkpoint=tmp_path / 'missing.npz') == 2
  assert 'missing.npz' in error_of(capsys)
  assert run(f'--video={video}', checkpoint='dinov2:weights') == 2
  assert 'only an RVM has a state to show; give what' in error_of(capsys)
  assert run(f'--video={video}', checkpoint='dino:weights') == 2
  assert 'dino is none of' in error_of(capsys)
  with server_lib.Server(0) as other:
    port = other.server_address[1]
    assert run(f'--video={video}', f'--port={port}') == 2
  assert f'--port={port} of 127.0.0.1 cannot be used' in error_of(capsys)


@pytest.mark.parametrize(
    'arguments',
    [[], ['--video=a', '--camera'], ['--video=a', '--port=70000']],
)
def test_main_refuses_wrong_arguments(arguments, capsys):
  with pytest.raises(SystemExit):
    run(*arguments)
  assert 'error: ' in capsys.readouterr().err
