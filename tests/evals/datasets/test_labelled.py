"""Tests clips of labelled videos: fixed cuts, and random ones."""

import pickle

import numpy as np
import pytest

from rvm_jax.evals.datasets import kinetics
from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import ssv2
from tests.evals import tiny_videos

SAMPLING = sampling_lib.Sampling(
    4, 6.0, 32, 32, False, num_clips=2, crop_area=(0.3, 1.0)
)


@pytest.mark.parametrize('library, split', [(ssv2, 'train'), (kinetics, 'val')])
def test_clip_reads_its_own_cut_or_a_random_one(library, split, video_set):
  root = video_set(library.__name__.split('.')[-1])
  clips, _ = library.read(str(root), split, SAMPLING, 0.0)
  clip = pickle.loads(pickle.dumps(clips[3]))  # The second of its video.
  example = clip.read()
  assert set(example) == {'frames', 'label'}
  assert example['label'] == clip.label == 0
  assert example['label'].dtype == np.int32
  frames = example['frames']
  assert frames.shape == (4, 32, 32, 3) and frames.dtype == np.uint8
  found = tiny_videos.locate(frames[:, 16, 16])
  expected = [(32.5, 24.5, number) for number in (17, 19, 21, 23)]
  np.testing.assert_allclose(found, expected, atol=1)
  random = [
      clip.read(np.random.default_rng(seed))['frames'] for seed in (0, 0, 1, 2)
  ]
  np.testing.assert_array_equal(random[0], random[1])
  firsts = tiny_videos.locate(np.array([f[0, 16, 16] for f in random]))
  assert len(set(firsts[:, 2].round())) > 1
  assert len(set(firsts[:, 0].round())) > 1
