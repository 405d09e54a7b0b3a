"""Rivals encode videos of any length, and names of checkpoints are read."""

import numpy as np
import pytest

from rvm_jax.baselines import encoder as encoder_lib
from rvm_jax.baselines import features
from tests.baselines import tiny_rivals

VIDEO = np.random.default_rng(0).integers(0, 256, (7, 8, 12, 3), np.uint8)


@pytest.mark.parametrize('variant', features.VARIANTS)
def test_clips_are_encoded_one_after_the_other(variant):
  module = tiny_rivals.ClipMeans()
  encoder = encoder_lib.Encoder(module, {}, variant)
  assert encoder.chunk == 4
  found = encoder(VIDEO)
  assert found.cls is None and found.state.size == 0
  # The second clip is filled up with its last frame, which `encode` replaces.
  clips = np.stack([VIDEO[:4], VIDEO[[4, 5, 6, 6]]])
  is_real = np.arange(8).reshape(2, 4) < 7
  expected = features.encode(module, {}, clips, is_real, variant)
  expected = np.concatenate(expected.patches)[:7]
  np.testing.assert_allclose(found.patches, expected, atol=1e-6)
  # Parts of whole clips give the same.
  parts = encoder(VIDEO[:4]), encoder(VIDEO[4:], found.state)
  joined = np.concatenate([part.patches for part in parts])
  np.testing.assert_array_equal(joined, found.patches)


def test_image_models_encode_frames_in_chunks():
  encoder = encoder_lib.Encoder(tiny_rivals.ImageMeans(), {}, 'released')
  video = np.concatenate([VIDEO] * 3)
  found = encoder(video)
  assert found.patches.shape == (21, 2, 3, 3) and found.cls.shape == (21, 3)
  once = encoder(VIDEO).patches
  np.testing.assert_allclose(found.patches[14:], once, atol=1e-6)
  assert str(encoder) == 'DINOv2 3 wide with registers'


@pytest.mark.parametrize(
    'checkpoint, expected',
    [
        ('dinov2:/a/b', ('dinov2', 'released', '/a/b')),
        ('vjepa2-fair:gs:b', ('vjepa2', 'fair', 'gs:b')),
        ('videomae:', ('videomae', 'released', '')),
        ('runs/dinov2', None),
        ('dinov2', None),
        ('raw:16', None),
        ('untrained:dinov2:a', None),
    ],
)
def test_parse_reads_family_variant_and_path(checkpoint, expected):
  assert encoder_lib.parse(checkpoint) == expected


def test_unknown_name_before_a_colon_is_refused_with_the_known_ones(
    tmp_path, monkeypatch
):
  with pytest.raises(
      FileNotFoundError, match='dino is none of dinov2, .*-fair'
  ):
    encoder_lib.check_name('dino:weights')
  with pytest.raises(FileNotFoundError, match='dino is none of raw, dinov2'):
    encoder_lib.check_name('dino:weights', ['raw'])
  # Names, and paths with a colon or without one, there or not.
  (tmp_path / 'a:b').touch()
  monkeypatch.chdir(tmp_path)
  for known in ('dinov2-fair:x', 'gs://a/b', 'nothing', '/no:thing', 'a:b'):
    encoder_lib.check_name(known)
  encoder_lib.check_name('raw:16', ['raw'])


def test_load_refuses_another_family_an_empty_path_and_a_missing_file(tmp_path):
  path = tiny_rivals.write(tmp_path / 'rival', 'videomae')
  model, _ = encoder_lib.load(encoder_lib.Name('videomae', 'fair', str(path)))
  assert model.family == 'videomae'
  with pytest.raises(ValueError, match='--checkpoint=videomae-fair:.*rival'):
    encoder_lib.load(encoder_lib.Name('dinov2', 'fair', str(path)))
  with pytest.raises(ValueError, match='dinov2:PATH needs a path'):
    encoder_lib.load(encoder_lib.Name('dinov2', 'released', ''))
  with pytest.raises(FileNotFoundError, match='nothing'):
    encoder_lib.load(encoder_lib.Name('dinov2', 'fair', 'nothing'))
