"""Tests rivals as frozen encoders: features, and benchmarks that use them."""

import importlib
import json

import jax
import numpy as np
import pytest

from rvm_jax.baselines import encoder as rival_lib
from rvm_jax.baselines import features
from rvm_jax.evals import run as run_lib
from rvm_jax.evals.encoders import loading
from rvm_jax.evals.encoders import rivals
from tests.baselines import tiny_rivals
from tests.evals.benchmarks import readouts

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 7, 8, 12, 3), np.uint8)


@pytest.fixture(autouse=True, scope='module')
def fast_compile():
  """Compiles without most optimisations, which takes less time."""
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
  """A function that writes weights and returns the value of `--checkpoint`."""
  tiny_rivals.let_vjepa_be_tiny(monkeypatch)

  def write(kind):
    family = kind.removesuffix('-fair')
    return f'{kind}:{tiny_rivals.write(tmp_path / kind, family)}'

  return write


@pytest.mark.parametrize('variant', features.VARIANTS)
@pytest.mark.parametrize(
    'module', [tiny_rivals.ClipMeans(), tiny_rivals.ImageMeans()]
)
def test_features_of_a_video_do_not_depend_on_its_batch(module, variant):
  encoder = rivals.from_module(module, {}, variant)
  found = encoder.encode(FRAMES)
  single = rival_lib.Encoder(module, {}, variant)
  for video, patches in zip(FRAMES, found.patches, strict=True):
    np.testing.assert_allclose(patches, single(video).patches, atol=1e-5)
  assert (found.cls is None) == (module.tubelet == 2)


def test_variants_differ_only_in_the_last_clip():
  released, fair = (
      rivals.from_module(tiny_rivals.ClipMeans(), {}, variant)
      for variant in features.VARIANTS
  )
  difference = released.encode(FRAMES).patches - fair.encode(FRAMES).patches
  assert not difference[:, :4].any() and difference[:, -1].any()
  assert released.identity != fair.identity
  assert released.name != fair.name and released.scaling != fair.scaling


@pytest.mark.parametrize('family', tiny_rivals.FAMILIES)
def test_every_rival_runs_on_davis(family, checkpoint, davis, tmp_path):
  data_dir, _ = davis
  name = checkpoint(family)
  result = evaluate(name, 'davis', tmp_path, data_dir=str(data_dir))
  encoder = loading.load(name)
  assert result['model'] == {
      'checkpoint': name,
      'name': encoder.name,
      'identity': encoder.identity,
      'patch': encoder.patch,
      'scaling': encoder.scaling,
      'variant': 'released',
  }
  # The frames keep their size, though it is no multiple of DINOv2's patch side.
  assert result['protocol']['height'] == 48


@pytest.mark.parametrize(
    'kind, benchmark', [('dinov2-fair', 'jhmdb'), ('videomae-fair', 'vip')]
)
def test_fair_rivals_run_on_jhmdb_and_vip(
    kind, benchmark, checkpoint, tmp_path, request
):
  data_dir, _ = request.getfixturevalue(benchmark)
  name = checkpoint(kind)
  result = evaluate(name, benchmark, tmp_path, data_dir=str(data_dir))
  assert result['model']['variant'] == 'fair'
  assert result['model']['name'].endswith('wide fair')
  assert result['model']['identity'].startswith(f'{kind}:')


def test_readouts_are_fitted_to_a_rival(checkpoint, video_set, tmp_path):
  config = readouts.shrink_config('ssv2')
  config.data_dir = str(video_set('ssv2'))
  out = tmp_path / 'out'
  run_lib.run(
      checkpoint('dinov3'), str(out), str(tmp_path / 'work'), **config.to_dict()
  )
  readouts.load(out)


def test_scenes_are_scored_at_sizes_that_the_patch_divides(
    checkpoint, tmp_path
):
  config = importlib.import_module('configs.eval_scenes').get_config()
  config = config.to_dict()
  config['protocol'] |= dict(num_train=3, num_test=2, num_workers=0)
  config['protocol']['clips'] |= dict(
      height=32, width=48, num_frames=4, path=8, num_points=3
  )
  name, out = checkpoint('dinov2'), tmp_path / 'out'
  with pytest.raises(ValueError, match="encoder's patch side, 14"):
    run_lib.run(name, str(out), **config)
  config['resize_to_patch'] = True
  run_lib.run(name, str(out), **config)
  result, _ = readouts.load(out)
  assert result['protocol']['clips']['height'] == 28


def test_untrained_rival_has_the_sizes_but_other_parameters(checkpoint):
  name = checkpoint('dinov3')
  trained, untrained = loading.load(name), loading.load(f'untrained:{name}')
  assert untrained.name == f'untrained {trained.name}'
  frames = FRAMES[:1, :, :2].repeat(8, 2).repeat(2, 3)
  found = [x.encode(frames).patches for x in (trained, untrained)]
  assert found[0].shape == found[1].shape and np.any(found[0] != found[1])


def evaluate(checkpoint, benchmark, tmp_path, **folders):
  """Runs a benchmark of propagation at a small size; returns its result."""
  config = importlib.import_module(f'configs.eval_{benchmark}').get_config()
  config = config.to_dict() | folders
  config['protocol'] |= dict(height=48, width=64)
  config['protocol']['propagation']['num_context'] = 2
  out = tmp_path / 'out'
  run_lib.run(checkpoint, str(out), **config)
  return json.loads((out / 'result.json').read_text())
