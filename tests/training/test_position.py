"""The position in the data, with its counts of clips."""

import numpy as np
import pytest

from rvm_jax.training import position as position_lib


class FakePipeline:
  """Endless batches of four clips, before which some were skipped."""

  def __init__(self, skipped):
    self.skipped = skipped
    self.at = 0

  def iterator(self):
    return self

  def __next__(self):
    self.at += 1
    return {'skipped': np.array(self.skipped, np.int32)}

  def get_state(self):
    return {'at': self.at}

  def set_state(self, state):
    self.at = state['at']


def test_position_counts_clips_and_goes_on_from_a_saved_state():
  position = position_lib.Position(FakePipeline([0, 1, 0, 2]))
  for _ in range(3):
    next(position)
  assert position.counts() == {'clips_seen': 12, 'clips_skipped': 9}
  again = position_lib.Position(FakePipeline([0, 0, 0, 0]))
  again.set_state(position.get_state())
  next(again)
  assert again.counts() == {'clips_seen': 16, 'clips_skipped': 9}
  assert again.get_state()['iterator'] == {'at': 4}


def test_position_check_raises_if_too_many_clips_were_skipped():
  position = position_lib.Position(FakePipeline([1, 0, 0, 0]))
  for _ in range(100):
    next(position)
  position.check(max_bad_share=0.25)
  message = '100 of 400 clips could not be read, .*max_bad_share=0.2; the log'
  with pytest.raises(RuntimeError, match=message):
    position.check(max_bad_share=0.2)


def test_position_check_allows_one_skipped_clip_at_the_start():
  position = position_lib.Position(FakePipeline([1, 0, 0, 0]))
  next(position)
  position.check(max_bad_share=0.1)
