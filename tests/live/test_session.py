"""Tests the session: streaming, colours, and clicks that follow a square."""

import numpy as np
import pytest

from rvm_jax.live import session as session_lib
from tests.live import oracle

GRID = oracle.GRID
SIZE = GRID[0] * oracle.PATCH, GRID[1] * oracle.PATCH


def start(num_frames=0):
  """Returns a session of the oracle after frames of a square that moves."""
  session = session_lib.Session(oracle.Encoder(), *SIZE)
  for t in range(num_frames):
    session.step(oracle.draw_square(*place(t)))
  return session


def place(t):
  """Returns row and column of the square in frame t.

  It moves to the right, then down, and then stands still.
  """
  return int(t > 3), min(t, 3)


def test_steps_are_those_of_streaming(encoder):
  rng = np.random.default_rng(0)
  video = rng.integers(0, 256, (5, 64, 96, 3)).astype(np.uint8)
  session = session_lib.Session(encoder, 64, 96)
  for frame in video:
    session.step(frame)
  expected = encoder(video)
  np.testing.assert_allclose(session._kept, expected.patches, atol=1e-5)
  np.testing.assert_allclose(session._state, expected.state, atol=1e-5)
  assert session.number == 4
  assert session.paint().shape == (4, 6, 3)


def test_click_follows_a_moving_square():
  session = start(1)
  # The click is at the centre of the square. The disc of the click covers it.
  session.click(1.5 * oracle.PATCH, 1.5 * oracle.PATCH, 0)
  # The video is longer than the queue and than the frames that are kept.
  for t in range(1, 25):
    session.step(oracle.draw_square(*place(t)))
    row, column = place(t)
    expected = np.zeros(GRID)
    expected[row : row + 3, column : column + 3] = 1
    np.testing.assert_allclose(session.tracks[0].labels, expected, atol=1e-6)
    (centre,) = session.find_centres()
    np.testing.assert_allclose(
        centre, oracle.PATCH * np.array([column + 1.5, row + 1.5]), rtol=1e-5
    )


def test_late_click_tracks_what_the_clicked_frame_showed():
  early, late = start(3), start(3)
  early.click(56.0, 24.0, 2)
  for t in range(3, 9):
    for session in (early, late):
      session.step(oracle.draw_square(*place(t)))
  late.click(56.0, 24.0, 2)
  np.testing.assert_array_equal(early.tracks[0].labels, late.tracks[0].labels)
  assert early.find_centres() == late.find_centres()


@pytest.mark.parametrize('x, y', [(-1, 5), (96, 5), (5, 64), (np.nan, 5)])
def test_click_outside_is_refused(x, y):
  session = start(1)
  with pytest.raises(ValueError, match='outside of the frame.* 96 x 64 pixels'):
    session.click(x, y, 0)
  assert not session.tracks


def test_click_on_a_frame_that_is_not_kept_is_refused():
  session = start(20)
  with pytest.raises(ValueError, match='frame 3 .* frames 4 to 19 are kept'):
    session.click(5, 5, 3)
  with pytest.raises(ValueError, match='frame 20 '):
    session.click(5, 5, 20)
  session.click(5, 5, 4)


def test_tracks_are_bounded_and_cleared():
  session = start(1)
  for _ in range(session_lib.MAX_TRACKS):
    session.click(5, 5, 0)
  with pytest.raises(ValueError, match='7 regions .* clear'):
    session.click(5, 5, 0)
  session.clear()
  session.click(5, 5, 0)
  assert len(session.tracks) == 1


def test_colours_are_fixed_after_the_first_frames_until_asked_for():
  session = start(15)
  before = session._basis
  session.step(oracle.draw_square(0, 0))
  fixed = session._basis
  assert fixed is not before
  for t in range(5):
    session.step(oracle.draw_square(t % 2, t % 4))
  assert session._basis is fixed
  session.recolour()
  assert session._basis is not fixed


def test_colours_of_content_first_models_ignore_what_a_frame_shares():
  pictures = []
  for shared in (0, 5):
    encoder = oracle.Encoder()
    encoder.model = encoder.model._replace(content_first=True)
    step = encoder.step

    def shifted(frame, state, step=step, shared=shared):
      features, after = step(frame, state)
      return oracle.Features(features.patches + shared * state), after

    encoder.step = shifted
    session = session_lib.Session(encoder, *SIZE)
    for t in range(4):
      session.step(oracle.draw_square(*place(t)))
      pictures.append(session.paint())
  for before, after in zip(pictures[:4], pictures[4:]):
    np.testing.assert_allclose(before, after, atol=1)


def test_frames_of_another_size_are_refused():
  with pytest.raises(ValueError, match='frame must be'):
    start().step(np.zeros((8, 8, 3), np.uint8))
