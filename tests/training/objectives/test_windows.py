"""Videos are encoded in windows, the last of which is filled up."""

import numpy as np
import pytest

from rvm_jax.training.objectives import windows


@pytest.mark.parametrize('time', [1, 4, 6])
@pytest.mark.parametrize('tubelet', [1, 2])
def test_each_frame_gets_the_features_of_its_tubelet(time, tubelet):
  frames = np.arange(2 * time, dtype=np.float32).reshape(2, time, 1, 1, 1)
  calls = []

  def encode_clips(clips):
    calls.append(clips.shape)
    return clips[:, ::tubelet] + 100

  found = windows.encode(encode_clips, frames, 4)
  assert calls == [(2 * -(-time // 4), 4, 1, 1, 1)]
  firsts = np.arange(time) // tubelet * tubelet
  np.testing.assert_array_equal(found, frames[:, firsts] + 100)


def test_the_last_window_is_filled_up_with_the_last_frame():
  frames = np.arange(3, dtype=np.float32).reshape(1, 3, 1, 1, 1)
  found = windows.encode(lambda x: x + x.sum(1, keepdims=True), frames, 2)
  np.testing.assert_array_equal(found.ravel(), [1, 2, 6])
