"""Scenes are the same in any subset of frames and process, and are a source."""

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from rvm_jax.data.scenes import source as source_lib


def test_any_subset_of_frames_is_the_same_bit_for_bit():
  whole = source_lib.generate(8, height=32, width=40)
  part = source_lib.generate(8, height=32, width=40, frames=[37, 2, 50])
  for name in ('frames', 'segments', 'depth', 'poses'):
    np.testing.assert_array_equal(
        getattr(whole, name)[[37, 2, 50]], getattr(part, name)
    )
  for name in ('tracks', 'visible', 'boxes'):
    np.testing.assert_array_equal(
        getattr(whole, name)[:, [37, 2, 50]], getattr(part, name)
    )
  np.testing.assert_array_equal(
      source_lib.render(8, height=32, width=40, frames=[37]),
      whole.frames[37:38],
  )
  assert len(whole.frames) == 64


def test_another_process_generates_the_same_bytes():
  code = (
      'import hashlib; from rvm_jax.data.scenes import source; '
      'source.render(1, height=8, width=8); '
      's = source.generate(4, height=32, width=32, frames=[60, 5]); '
      'print(hashlib.sha256(s.frames.tobytes() + s.depth.tobytes()'
      ' + s.tracks.tobytes()).hexdigest())'
  )
  other = subprocess.run(
      [sys.executable, '-c', code], check=True, capture_output=True, text=True
  )
  s = source_lib.generate(4, height=32, width=32, frames=[60, 5])
  data = s.frames.tobytes() + s.depth.tobytes() + s.tracks.tobytes()
  assert other.stdout.strip() == hashlib.sha256(data).hexdigest()


def test_source_gives_records_and_names():
  source = pickle.loads(pickle.dumps(source_lib.Scenes(10, 24, 32, seed=3)))
  assert len(source) == 10
  record = source[7]
  assert record.clip.dtype == np.int64
  np.testing.assert_array_equal(record.clip, [7, 0])
  assert record.num_frames == 64 and record.window == (0, 64)
  assert record.frame_rate == source_lib.FRAME_RATE == 24.0
  frames = record.read([3, 50])
  assert frames.shape == (2, 24, 32, 3) and frames.dtype == np.uint8
  scene = source_lib.generate(
      source.scene_seed(7), height=24, width=32, frames=[3, 50]
  )
  np.testing.assert_array_equal(frames, scene.frames)
  assert 'scene 7' in source.describe(record.clip)
  with pytest.raises(IndexError):
    source[10]


def test_splits_and_seeds_share_no_scene():
  seeds = [
      source_lib.Scenes(50, 8, 8, seed=seed, split=split).scene_seed(i)
      for seed in range(3)
      for split in source_lib.SPLITS
      for i in range(50)
  ]
  assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    'change, message',
    [
        ({'seed': -1}, 'seed=-1: expected at least 0'),
        ({'height': 0}, 'height=0'),
        ({'width': -4}, 'width=-4'),
        ({'num_frames': 0}, 'num_frames=0'),
        ({'frames': [64]}, r'frames: .*\[0, 64\), got 64'),
        ({'frames': [-1]}, r'frames: .*got -1'),
        ({'track_frame': 64}, 'track_frame: .*got 64'),
        ({'num_tracks': -1}, 'num_tracks=-1'),
    ],
)
def test_numbers_out_of_range_are_named(change, message):
  with pytest.raises(ValueError, match=message):
    source_lib.generate(**({'seed': 0, 'height': 8, 'width': 8} | change))


def test_sources_without_scenes_or_of_an_unknown_split_are_refused():
  with pytest.raises(ValueError, match='num_scenes=0'):
    source_lib.Scenes(0, 8, 8)
  with pytest.raises(ValueError, match="split='test': expected one of"):
    source_lib.Scenes(1, 8, 8, split='test')
