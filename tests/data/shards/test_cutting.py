"""Clips hold all frames in order, do not span cuts, and are not enlarged."""

import sys

import numpy as np
import pytest

from rvm_jax.data.shards import cutting
from rvm_jax.data.video import reader
from tests.data.shards import clips


def cut(frames, clip_frames, cuts=()):
  """Returns (start, numbers) of the clips of numbered frames."""
  found = cutting.cut(frames, clip_frames, lambda frame: frame in cuts)
  return [(start, list(clip)) for start, clip in found]


def test_clips_have_equal_length_and_a_shorter_rest():
  assert cut(range(7), 3) == [(0, [0, 1, 2]), (3, [3, 4, 5]), (6, [6])]
  assert cut(range(6), 3) == [(0, [0, 1, 2]), (3, [3, 4, 5])]
  assert cut(range(0), 3) == []


def test_no_clip_spans_a_cut():
  assert cut(range(9), 4, cuts=(0, 2, 6, 7)) == [
      (0, [0, 1]),
      (2, [2, 3, 4, 5]),
      (6, [6]),
      (7, [7, 8]),
  ]


def test_frames_are_read_one_clip_at_a_time():
  numbers = iter(range(100))
  found = cutting.cut(numbers, 10, lambda frame: False)
  next(found)
  # The first frame of the next clip tells that this one is complete.
  assert next(numbers) == 11


def test_damage_is_raised_after_the_clips_before_it():
  def frames():
    yield from range(5)
    raise reader.BrokenVideo('a.mp4', 'damaged')

  found = cutting.cut(frames(), 4, lambda frame: False)
  assert [start for start, _ in (next(found), next(found))] == [0, 4]
  with pytest.raises(reader.BrokenVideo):
    next(found)


@pytest.mark.parametrize(
    'size, is_even, expected',
    [
        ((1080, 1920), False, (288, 512)),
        ((1920, 1080), True, (512, 288)),
        ((480, 854), False, (288, 512)),
        ((480, 853), True, (288, 512)),
        ((144, 177), False, (144, 177)),
        ((145, 177), True, (144, 176)),
    ],
)
def test_sizes_are_reduced_and_never_raised(size, is_even, expected):
  assert cutting.fit(*size, 288, is_even) == expected


def test_scaled_frame_is_a_copy_of_the_fitting_size():
  frame = clips.moving_frames(1, 60, 80)[0]
  small = cutting.scale(frame, 30, False)
  assert small.shape == (30, 40, 3)
  means = frame.reshape(30, 2, 40, 2, 3).mean((1, 3))
  assert np.abs(small - means).mean() < 2
  same = cutting.scale(frame, 100, False)
  assert np.array_equal(same, frame) and not np.shares_memory(same, frame)


def test_detector_finds_hard_cuts_alone():
  pytest.importorskip('scenedetect')
  frames = clips.moving_frames(12)
  frames[4:9] = 255 - frames[4:9]
  detector = cutting.CutDetector()
  found = [i for i, frame in enumerate(frames) if detector(frame)]
  assert found == [4, 9] and detector.num_cuts == 2


def test_missing_library_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'scenedetect', None)
  monkeypatch.setitem(sys.modules, 'cv2', None)
  with pytest.raises(ImportError, match=r"pip install 'rvm_jax\[cuts\]'"):
    cutting.CutDetector()
