"""Tests the command: what it writes, writes again, and refuses."""

import json
import os
import pathlib
import re
import weakref
import zipfile

import av
import numpy as np
from PIL import Image
import pytest

from rvm_jax import weights
from rvm_jax.viz import __main__ as command
from rvm_jax.viz import gallery as gallery_lib
from rvm_jax.viz import page
from rvm_jax.weights import released
from rvm_jax.weights import trees
from tests import video_files
from tests.viz import conftest


def run(out, *videos, checkpoint=conftest.CHECKPOINT, options=()):
  """Runs the command and returns its exit code."""
  return command.main(
      [
          *map(str, videos),
          f'--checkpoint={checkpoint}',
          f'--out={out}',
          *options,
      ]
  )


def contents(folder):
  """Reads all files of a folder, by name."""
  return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_main_writes_the_page_and_the_files_it_describes(gallery):
  html = (gallery / 'index.html').read_text()
  html = html.replace('\N{NO-BREAK SPACE}', ' ')
  _, params = weights.load(conftest.CHECKPOINT)
  assert trees.fingerprint(params) in html
  assert str(conftest.CHECKPOINT) in html
  assert '6 × 4 patches' in html and 'at 25 frames a second' in html
  assert 'Frames 0 to 9 are shown, at 16 a second: 96 × 64 pixels' in html
  for stem in ('1-a-b-100-', '2-Noise-square'):
    for kind, columns in (('wide', 3), ('tall', 2)):
      with av.open(str(gallery / f'{stem}-{kind}.mp4')) as movie:
        (stream,) = movie.streams
        assert sum(1 for _ in movie.decode(stream)) == 10
        assert stream.width == columns * (384 + 8) + 8
    for kind in ('seen', 'painted', 'true'):
      with Image.open(gallery / f'{stem}-{kind}.png') as strip:
        assert strip.size == (4 * 288 + 3 * 6, 192)
    with Image.open(gallery / f'{stem}.png') as sheet:
      assert np.asarray(sheet).std() > 10


def test_interrupted_run_leaves_the_old_gallery_and_the_next_replaces_it(
    gallery, video, tmp_path, monkeypatch
):
  for name in contents(gallery) | {'notes.txt': b''}:
    (tmp_path / name).write_text('of old')
  before = contents(tmp_path)
  options = ['--num_frames=10', '--size', '64', '96', '--replace']

  def interrupt(folder, *args):
    pathlib.Path(folder, '1-a-b-100--wide.mp4').write_text('half')
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(command, '_add', interrupt)
    with pytest.raises(KeyboardInterrupt):
      run(tmp_path, video, 'noise_square', options=options)
  assert contents(tmp_path) == before

  # A killed run cannot clean up; the next one does.
  (tmp_path / '.unfinished').mkdir()
  (tmp_path / '.unfinished' / 'junk.mp4').write_text('half')
  assert run(tmp_path, video, 'noise_square', options=options) == 0
  after = contents(tmp_path)
  assert after.pop('notes.txt') == b'of old'
  assert after == contents(gallery)


def test_main_refuses_a_folder_that_has_a_page(tmp_path, video, capsys):
  (tmp_path / 'index.html').write_text('of old')
  assert run(tmp_path, video, options=['--num_frames=2']) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith(f'error: {tmp_path} has a page already')
  assert '--replace' in line
  assert contents(tmp_path) == {'index.html': b'of old'}


def test_main_refuses_a_folder_that_another_process_writes(
    video, tmp_path, capsys
):
  with gallery_lib.unfinished(tmp_path) as folder:
    pathlib.Path(folder, 'a.mp4').write_text('of the first')
    assert run(tmp_path, video, options=['--num_frames=2']) == 2
    assert f'{tmp_path} is being written by' in capsys.readouterr().err
  assert contents(tmp_path) == {'a.mp4': b'of the first'}
  with gallery_lib.unfinished(tmp_path):  # The lock has gone.
    pass


def test_main_holds_one_video_in_memory_at_a_time(tmp_path, monkeypatch):
  videos, read = [], command.read

  def num_in_memory():
    return sum(frames() is not None for frames in videos)

  def read_alone(*args):
    assert not num_in_memory()
    video = read(*args)
    videos.append(weakref.ref(video.frames))
    return video

  monkeypatch.setattr(command, 'read', read_alone)
  monkeypatch.setattr(command, '_add', lambda *args: num_in_memory())
  monkeypatch.setattr(page, 'write', lambda _, sections, *rest: str(sections))
  paths = [
      conftest.write_video(tmp_path / f'{i}.mp4', num_frames=2)
      for i in range(3)
  ]
  assert run(tmp_path / 'out', *paths) == 0
  assert (tmp_path / 'out' / 'index.html').read_text() == '[1, 1, 1]'


def test_main_shows_a_damaged_video_up_to_the_damage(video, tmp_path, capsys):
  data = bytearray(video.read_bytes())
  with av.open(str(video)) as container:
    packets = [p for p in container.demux(video=0) if p.size]
  packet = packets[-1]
  data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
  (tmp_path / 'bad.mp4').write_bytes(data)
  assert run(tmp_path / 'out', tmp_path / 'bad.mp4') == 0
  output = capsys.readouterr().out
  (last,) = re.findall(r'bad.mp4: . frames; damaged after frame (\d):', output)
  assert int(last) + 1 == sum(p.pts < packet.pts for p in packets)
  html = (tmp_path / 'out' / 'index.html').read_text()
  assert f'The file is damaged after frame {last}: Invalid data' in html
  assert f'Frames 0 to {last} are shown' in html


def test_read_takes_a_folder_of_pictures_up_to_the_damage(tmp_path):
  frames = [video_files.picture(number, 24, 32) for number in range(5)]
  video_files.write_folder(tmp_path / 'bear', frames)
  folder = f'{tmp_path}/bear/'
  shown = command.read(folder, 4, None)
  assert shown.name == 'bear' and np.array_equal(shown.frames, frames[:4])
  assert not shown.about and not shown.damage
  (tmp_path / 'bear' / '00003.png').write_bytes(b'no picture')
  shown = command.read(folder, 64, (48, 64))
  assert shown.frames.shape == (3, 48, 64, 3) and 'Resized from' in shown.about
  assert shown.damage == 'damaged after frame 2: 00003.png is not a picture'


def test_main_says_why_an_encoder_alone_reconstructs_nothing(video, tmp_path):
  _, params = weights.load(conftest.CHECKPOINT)
  kept = {k: v for k, v in params.items() if k not in released.DECODER_PARTS}
  weights.save_npz(tmp_path / 'encoder.npz', kept)
  checkpoint = tmp_path / 'encoder.npz'
  options = ['--num_frames=2']
  out = tmp_path / 'out'
  assert run(out, video, checkpoint=checkpoint, options=options) == 0
  html = (out / 'index.html').read_text()
  assert 'without decoder' in html and 'reconstruction takes a decoder' in html
  assert not list(out.glob('*-painted.png'))


def test_main_refuses_wrong_videos(tmp_path, video, capsys):
  (tmp_path / 'text.mp4').write_text('not a video')
  Image.new('RGB', (64, 64)).save(tmp_path / 'still.png')
  odd = conftest.write_video(tmp_path / 'odd.mp4', height=72)
  broken = tmp_path / 'broken.mp4'
  broken.write_bytes(video.read_bytes()[:1500])
  for path, message in (
      (tmp_path / 'text.mp4', 'Invalid data'),
      (tmp_path / 'missing.mp4', 'No such file'),
      (tmp_path, 'Is a directory'),
      (tmp_path / 'still.png', 'expected two or more frames'),
      (odd, 'height must be a positive multiple of the patch side 16, got 72;'),
      (broken, 'broken.mp4'),
  ):
    out = tmp_path / 'out'
    assert run(out, video, path) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error, error
    assert path.name in error and not out.exists()


def test_main_refuses_wrong_checkpoints(tmp_path, video, capsys):
  np.savez(tmp_path / 'other.npz', **{'blocks/0/attn/qkv': np.zeros((3, 4))})
  with zipfile.ZipFile(tmp_path / 'torch.pt', 'w') as archive:
    archive.writestr('archive/data.pkl', b'\x80\x02}q')
  config = tmp_path / 'run' / 'checkpoints' / '5' / 'config'
  config.mkdir(parents=True)
  (config.parent / 'state').mkdir()
  (config / 'metadata').write_text(json.dumps({'model': {'depth': 3}}))
  for name, message in (
      ('other.npz', 'not an RVM checkpoint'),
      ('torch.pt', 'not a plain .npz archive'),
      ('run', 'not written by this project'),
      ('missing.npz', 'No such file'),
  ):
    out = tmp_path / 'out'
    assert run(out, video, checkpoint=tmp_path / name) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
  assert run(out, video, checkpoint='dino:x') == 2
  assert 'dino is none of dinov2, ' in capsys.readouterr().err


def test_main_refuses_a_folder_that_cannot_be_written(tmp_path, video, capsys):
  (tmp_path / 'file').write_text('mine')
  for out in (tmp_path / 'file', tmp_path / 'file' / 'out'):
    assert run(out, video) == 2
    assert str(tmp_path / 'file') in capsys.readouterr().err
  # Root may write anywhere, and is not refused.
  if os.getuid():
    (tmp_path / 'locked').mkdir(mode=0o500)
    assert run(tmp_path / 'locked', video) == 2
    assert 'Permission denied' in capsys.readouterr().err


@pytest.mark.parametrize(
    'option', [['--num_frames=1'], ['--size', '0', '64'], ['--frames=3']]
)
def test_main_refuses_wrong_options(tmp_path, video, option):
  with pytest.raises(SystemExit, match='2'):
    run(tmp_path / 'out', video, options=option)
