"""The command that lists bad videos: its output and exit codes."""

import shlex
import subprocess
import sys

import pytest

from rvm_jax.data import check
from rvm_jax.data import frame_sampling
from rvm_jax.data import sources
from rvm_jax.data.video import index
from tests import video_files


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


def test_check_judges_folders_of_pictures_beside_videos(
    tmp_path, make_video, capsys
):
  make_video(tmp_path / 'a.mp4', 10)
  frames = [video_files.picture(number, 48, 80) for number in range(5)]
  video_files.write_folder(tmp_path / 'bear', frames)
  video_files.write_folder(tmp_path / 'cow', frames)
  (tmp_path / 'cow' / '00004.png').write_bytes(b'no picture')
  assert check.main([str(tmp_path)]) == 1
  out = capsys.readouterr().out
  assert f'bad    {tmp_path}/cow: 00004.png is not a picture\n' in out
  assert '2 good, 1 bad' in out and '15 frames' in out
  assert '80x48 (1)' in out and '25 (2)' in out
  assert check.main(['--min_frames=6', f'{tmp_path}/bear/']) == 2
  assert 'bear: too short: 5 frames, needs 6' in capsys.readouterr().out


def test_check_lists_files_that_are_usable_in_part(
    tmp_path, make_video, capsys
):
  path = make_video(tmp_path / 'a.avi', 40, 'mjpeg', pix_fmt='yuvj420p')
  with open(path, 'r+b') as file:
    file.truncate(file.seek(0, 2) // 2)
  assert check.main([path]) == 0
  assert f'usable {path}: ' in capsys.readouterr().out


def test_rows_of_a_manifest_are_checked_one_by_one(
    tmp_path, make_video, capsys
):
  make_video(tmp_path / 'a.mp4', 50)
  manifest = tmp_path / 'list.csv'
  manifest.write_text(
      'path,start,end\na.mp4,0,1\na.mp4,1.8,\na.mp4,9,\nb.mp4,,\na.mp4,,\n'
  )
  # The manifest is given twice, and lists the video that is given too.
  paths = [str(manifest), str(manifest), str(tmp_path / 'a.mp4')]
  assert check.main(['--min_frames=20', *paths]) == 1
  out = capsys.readouterr().out
  first, second, third, *rest = out.splitlines()
  line = f'bad    {manifest}, line'
  assert first == (f'{line} 3: {tmp_path}/a.mp4: too short: 5 frames, needs 20')
  assert second == (
      f'{line} 4: {tmp_path}/a.mp4: start 9 s is past the end, at 2 s'
  )
  assert third == f'{line} 5: {tmp_path}/b.mp4: No such file or directory'
  assert rest[:2] == ['3 good, 3 bad', '125 frames, 0.00139 hours']


def test_command_in_the_warning_of_a_run_lists_the_clips_it_leaves_out(
    tmp_path, make_video, warnings, capsys
):
  # A sample spans six frames at 12.5 a second: eleven frames of a video with 25
  # a second, and five of a video with 10.
  make_video(tmp_path / 'slow.mp4', 5, rate=10)
  make_video(tmp_path / 'fast.mp4', 25)
  manifest = tmp_path / 'a list.csv'
  manifest.write_text(
      'path,start,end\nfast.mp4,,0.44\nfast.mp4,,0.4\nslow.mp4,,\n'
      'slow.mp4,,0.4\nslow.mp4,3,\nno.mp4,,\n'
  )
  spacing = frame_sampling.Spacing(5, 1, 1, 1, 1, frame_rate=12.5)
  sources.Videos(str(manifest), spacing, max_bad_share=0.7)
  (message,) = warnings
  assert '4 of 6 videos' in message
  command = message.partition('To list them: ')[2].partition('. They')[0]
  arguments = shlex.split(command)
  assert arguments[:3] == ['python', '-m', 'rvm_jax.data.check']
  assert check.main(arguments[3:]) == 1
  lines = capsys.readouterr().out.splitlines()
  bad = [line.removeprefix('bad    ') for line in lines[:4]]
  assert '2 good, 4 bad' in lines
  assert all(
      f'list.csv, line {n}: ' in bad[i] for i, n in enumerate([3, 5, 6, 7])
  )
  assert '; '.join(bad[:3]) in message


def test_shards_are_checked_apart_and_their_indices_merged(
    tmp_path, make_video, capsys, monkeypatch
):
  videos = tmp_path / 'videos'
  videos.mkdir()
  for name in 'abc':
    make_video(videos / f'{name}.mp4', 50)
  (videos / 'list.csv').write_text(
      'path,start,end\na.mp4,0,1\nb.mp4,0,1\na.mp4,1,\nc.mp4,,\n'
  )
  manifest = str(videos / 'list.csv')
  merges = []
  # Both clips of a.mp4 are in one shard, and the last of five shards is empty.
  shards = {'0/2': 3, '1/2': 1, '4/5': 0}
  for number, (shard, count) in enumerate(shards.items()):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / f'host{number}'))
    merges.append(f'--merge={index.database()}')
    assert check.main([f'--shard={shard}', manifest]) == 0
    assert f'{count} good, 0 bad' in capsys.readouterr().out
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'here'))
  assert check.main([*merges, manifest]) == 0
  out = capsys.readouterr().out
  assert f'3 videos added to {tmp_path}/here/' in out and '4 good' in out
  assert check.main([f'--merge={tmp_path}/no', manifest]) == 2
  assert 'error: expected the path of a file' in capsys.readouterr().err


@pytest.mark.parametrize(
    'argument',
    [
        '--shard=2/2',
        '--shard=0',
        '--shard=-1/2',
        '--min_frames=0',
        '--frame_rate=0',
        '--frame_rate=nan',
    ],
)
def test_wrong_flags_are_refused(argument, capsys):
  with pytest.raises(SystemExit) as stop:
    check.main([argument, 'a.mp4'])
  assert stop.value.code == 2
  assert argument.partition('=')[0] in capsys.readouterr().err


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
