"""The command that lists bad videos: its output and exit codes."""

import subprocess
import sys

from rvm_jax.data import check


def test_check_lists_bad_files_and_prints_a_summary(
    tmp_path, make_video, capsys
):
  make_video(tmp_path / 'a.mp4', 50)
  make_video(tmp_path / 'b.avi', 100, 'mjpeg', rate=10, pix_fmt='yuvj420p')
  assert check.main([str(tmp_path)]) == 0
  out = capsys.readouterr().out
  assert '2 good, 0 bad' in out and '150 frames, 0.00333 hours' in out
  assert 'sizes: 96x64 (2)' in out and '25 (1)' in out and '10 (1)' in out
  (tmp_path / 'text.mp4').write_text('no video')
  (tmp_path / 'empty.mkv').touch()
  assert check.main([str(tmp_path)]) == 1
  out = capsys.readouterr().out
  assert f'bad    {tmp_path}/empty.mkv: the file is empty\n' in out
  assert f'bad    {tmp_path}/text.mp4: Invalid data' in out
  assert '2 good, 2 bad' in out
  assert check.main(['--min_frames=60', str(tmp_path)]) == 1
  assert 'a.mp4: too short: 50 frames, needs 60' in capsys.readouterr().out


def test_check_lists_files_that_are_usable_in_part(
    tmp_path, make_video, capsys
):
  path = make_video(tmp_path / 'a.avi', 40, 'mjpeg', pix_fmt='yuvj420p')
  with open(path, 'r+b') as file:
    file.truncate(file.seek(0, 2) // 2)
  assert check.main([path]) == 0
  assert f'usable {path}: ' in capsys.readouterr().out


def test_exit_code_is_2_if_no_video_is_usable(tmp_path, capsys):
  assert check.main([str(tmp_path)]) == 2
  assert 'holds no videos' in capsys.readouterr().err
  (tmp_path / 'text.mp4').write_text('no video')
  assert check.main([str(tmp_path)]) == 2


def test_check_runs_as_a_module(tmp_path):
  command = [sys.executable, '-m', 'rvm_jax.data.check']
  assert subprocess.run(command, capture_output=True).returncode == 2
  run = subprocess.run(
      command + [str(tmp_path)], capture_output=True, text=True
  )
  assert run.returncode == 2 and 'holds no videos' in run.stderr
