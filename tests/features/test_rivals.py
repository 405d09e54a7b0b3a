"""The command with rivals: exact features, continued after a stop."""

import json

import numpy as np
import pytest

from rvm_jax.baselines import encoder as rival_lib
from rvm_jax.features import __main__ as command
from tests.baselines import tiny_rivals
from tests.features import stores


@pytest.fixture
def checkpoint(tmp_path):
  """Returns a function that writes the checkpoint of a family of rivals."""
  return lambda family: tiny_rivals.write(tmp_path / family, family)


def run(video, checkpoint, out):
  return command.main(
      [str(video), f'--checkpoint={checkpoint}', f'--out={out}']
  )


def encode(kind, path, frames):
  """Encodes frames with the rival's encoder, without a store."""
  name = rival_lib.parse(f'{kind}:{path}')
  return rival_lib.Encoder(*rival_lib.load(name), name.variant)(frames)


def test_store_of_an_image_model_holds_its_features_and_cls(
    videos, tmp_path, checkpoint
):
  path = checkpoint('dinov2')
  assert run(videos / 'short.avi', f'dinov2:{path}', tmp_path) == 0
  # Frames of 40 x 60 are cut down to 2 x 4 patches of 14.
  frames = stores.decode(videos / 'short.avi')[:, 6:34, 2:58]
  expected = encode('dinov2', path, frames)
  store = tmp_path / 'short.zarr'
  for name in ('patches', 'cls'):
    np.testing.assert_allclose(
        stores.read(store, name), getattr(expected, name), atol=1e-4
    )
  found = json.loads((store / '.zattrs').read_text())
  assert found['checkpoint_path'] == str(path)
  assert found['model']['width'] == expected.cls.shape[1]
  assert found['model']['dtype'] == 'float32'


@pytest.mark.parametrize('kind', ['videomae', 'videomae-fair'])
def test_stopped_store_of_a_clip_model_is_continued(
    kind, videos, tmp_path, checkpoint, monkeypatch
):
  path = checkpoint('videomae')
  name = f'{kind}:{path}'
  assert run(videos / 'short.avi', name, tmp_path / 'whole') == 0
  store = tmp_path / 'whole' / 'short.zarr'
  frames = stores.decode(videos / 'short.avi')
  expected = encode(kind, path, frames)
  found = stores.read(store, 'patches')
  # Twenty frames are three clips of six and a part of one.
  np.testing.assert_allclose(found, expected.patches, atol=1e-4)
  assert not (store / 'cls').exists()

  call, calls = rival_lib.Encoder.__call__, []

  def stop_at_third(self, images, state):
    calls.append(len(images))
    if len(calls) == 3:
      raise KeyboardInterrupt
    return call(self, images, state)

  monkeypatch.setattr(rival_lib.Encoder, '__call__', stop_at_third)
  with pytest.raises(KeyboardInterrupt):
    run(videos / 'short.avi', name, tmp_path / 'stopped')
  assert run(videos / 'short.avi', name, tmp_path / 'stopped') == 0
  assert calls == [6, 6, 6, 6, 2]
  stopped = tmp_path / 'stopped' / 'short.zarr'
  assert stores.contents(stopped) == stores.contents(store)


def test_store_of_another_variant_is_refused(
    videos, tmp_path, checkpoint, capsys
):
  path = checkpoint('videomae')
  assert run(videos / 'short.avi', f'videomae:{path}', tmp_path) == 0
  assert run(videos / 'short.avi', f'videomae-fair:{path}', tmp_path) == 1
  assert 'preprocessing.colours: saved' in capsys.readouterr().err


def test_wrong_names_of_rivals_are_refused(
    videos, tmp_path, checkpoint, capsys
):
  path = checkpoint('dinov3')
  for name, message in (
      (f'dinov2:{path}', 'weights of dinov3, not of dinov2'),
      ('dinov2:', 'needs a path'),
      ('dinov2:nowhere', 'nowhere'),
  ):
    assert run(videos / 'short.avi', name, tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error
