"""The command: resuming, hosts, full disks, and wrong arguments."""

import contextlib
import hashlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from rvm_jax.data.shards import __main__ as main_lib
from rvm_jax.data.shards import processes

pytest.importorskip('tensorflow_datasets')
ROOT = pathlib.Path(__file__).parents[3]
FLAGS = ['--clip_frames=8', '--min_frames=4', '--num_shards=3']


def run(source, out, *flags):
  """Packs in this process and returns the exit code."""
  arguments = [str(source), f'--out={out}', '--workers=1', *FLAGS, *flags]
  return main_lib.main(arguments)


def hashes(folder):
  """Returns the hash of each file of a packed set."""
  return {
      path.name: hashlib.sha256(path.read_bytes()).hexdigest()
      for path in folder.iterdir()
  }


@pytest.fixture(scope='module')
def packed_hashes(folder, tmp_path_factory):
  """The hashes of a set that was packed without an interruption."""
  out = tmp_path_factory.mktemp('packed') / 'set'
  assert run(folder, out) == 0
  return hashes(out)


def test_killed_command_goes_on_with_the_same_bytes(
    folder, packed_hashes, tmp_path
):
  source = tmp_path / 'videos'
  shutil.copytree(folder, source)
  # A pipe takes the place of a video of shard 0, so that the process that packs
  # this shard waits there until the command is killed.
  (source / 'short.mp4').unlink()
  os.mkfifo(source / 'short.mp4')
  out = tmp_path / 'set'
  flags = [f'--out={out}', '--workers=2', *FLAGS]
  process = subprocess.Popen(
      [sys.executable, '-m', 'rvm_jax.data.shards', str(source), *flags],
      cwd=ROOT,
      stderr=subprocess.DEVNULL,
  )
  done = [out / f'shard-0000{number}-of-00003.json' for number in (1, 2)]
  while not all(path.exists() for path in done):
    assert process.poll() is None
    time.sleep(0.02)
  process.send_signal(signal.SIGKILL)
  process.wait()
  assert not (out / 'rvm_clips.json').exists()
  assert (out / 'clips-00000-of-00003.csv.part').exists()
  # Shard 1 is complete, and is not written again.
  kept = out / 'rvm_clips-train.array_record-00001-of-00003'
  before = kept.stat().st_mtime_ns
  (source / 'short.mp4').unlink()
  shutil.copy(folder / 'short.mp4', source)
  resume(out, source)
  assert kept.stat().st_mtime_ns == before
  found = hashes(out)
  assert found.keys() == packed_hashes.keys()
  # Only the name of the source differs, which rvm_clips.json holds.
  assert {k for k in found if found[k] != packed_hashes[k]} == {
      'rvm_clips.json'
  }


def resume(out, source):
  """Packs once the worker processes of a killed command have ended."""
  deadline = time.monotonic() + 60
  while run(source, out):
    assert time.monotonic() < deadline
    time.sleep(0.05)


def test_hosts_share_the_work_in_any_order(
    folder, packed_hashes, tmp_path, capsys
):
  assert run(folder, tmp_path / 'set', '--shard=1/2') == 0
  assert 'the host that finishes last completes' in capsys.readouterr().out
  assert run(folder, tmp_path / 'set', '--shard=0/2') == 0
  output = capsys.readouterr().out
  assert 'clips: 6,' in output and 'left out: 3,' in output
  assert 'is complete: 3 shards' in output
  assert hashes(tmp_path / 'set') == packed_hashes


def test_damaged_shard_is_mended(folder, packed_hashes, tmp_path):
  assert run(folder, tmp_path / 'set') == 0
  path = tmp_path / 'set/rvm_clips-train.array_record-00001-of-00003'
  with open(path, 'r+b') as file:
    file.seek(1000)
    file.write(b'x' * 100)
  assert run(folder, tmp_path / 'set') == 0
  assert hashes(tmp_path / 'set') == packed_hashes


@contextlib.contextmanager
def small_disk(size):
  """Makes writing fail in files of more than `size` bytes."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_is_one_line_and_can_be_resumed(
    folder, packed_hashes, tmp_path, capsys
):
  with small_disk(60_000):
    assert run(folder, tmp_path / 'set') == 2
  (line,) = [
      line
      for line in capsys.readouterr().err.splitlines()
      if line.startswith('error: ')
  ]
  assert 'File too large' in line and 'array_record-00000-of-00003' in line
  left = (tmp_path / 'set').glob('[!.]*')
  assert [path.name for path in left] == ['plan.json']
  assert run(folder, tmp_path / 'set') == 0
  assert hashes(tmp_path / 'set') == packed_hashes


def test_crash_after_the_last_video_ends_the_command(
    folder, tmp_path, capsys, monkeypatch
):
  def run_and_crash(function, waiting, num_processes):
    del function, num_processes
    while waiting:
      task = waiting.popleft()
      yield task, len(task.videos)
      yield task, processes.Crash('SIGSEGV')

  monkeypatch.setattr(processes, 'run', run_and_crash)
  assert run(folder / 'bear', tmp_path / 'set') == 2
  error = capsys.readouterr().err
  assert 'error: SIGSEGV ended the process that packed' in error
  assert 'array_record-00000' in error and 'after its last video' in error


def test_other_settings_are_refused(folder, tmp_path, capsys):
  assert run(folder / 'bear', tmp_path / 'set', '--num_shards=1') == 0
  flags = ['--num_shards=1', '--quality=50']
  assert run(folder / 'bear', tmp_path / 'set', *flags) == 2
  assert 'quality: saved 90, now 50' in capsys.readouterr().err


def test_source_without_videos_is_refused(tmp_path, capsys):
  (tmp_path / 'empty').mkdir()
  assert run(tmp_path / 'empty', tmp_path / 'set') == 2
  assert "empty' holds no videos" in capsys.readouterr().err
  assert not (tmp_path / 'set').exists()


def test_missing_library_is_named(folder, tmp_path, capsys, monkeypatch):
  monkeypatch.setitem(sys.modules, 'scenedetect', None)
  monkeypatch.setitem(sys.modules, 'cv2', None)
  assert run(folder, tmp_path / 'set', '--cuts') == 2
  assert "pip install 'rvm_jax[cuts]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    'flag, message',
    [
        ('--quality=99', '--quality must be 1 to 95 for jpeg, got 99'),
        ('--clip_frames=0', '--clip_frames must be at least 1, got 0'),
        ('--min_frames=9', '--min_frames=9 must be at most --clip_frames=8'),
        ('--num_shards=0', '--num_shards must be at least 1, got 0'),
        ('--shard=4/4', "--shard must be like 0/4 to 3/4, got '4/4'"),
        ('--shard=a', "--shard must be like 0/4 to 3/4, got 'a'"),
    ],
)
def test_wrong_options_are_refused(tmp_path, capsys, flag, message):
  with pytest.raises(SystemExit):
    run(tmp_path, tmp_path / 'set', flag)
  assert message in capsys.readouterr().err
