"""Tests drawing movies of tracked masks, and reading pictures of a run."""

import io
import types

import av
import numpy as np

from rvm_jax.evals.scenes import demo_pictures


def test_a_movie_of_each_scene_has_six_panels(tmp_path):
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (3, 16, 16, 3), np.uint8)
  segments = rng.integers(0, 3, (1, 3, 16, 16)).astype(np.uint8)
  names = 'trained', 'untrained', 'raw pixels', 'masks that stay'
  results = {name: {'predictions': segments} for name in names}
  results['trained']['ground_truth'] = segments
  scenes = [types.SimpleNamespace(frames=frames)]
  (movie,) = demo_pictures.draw(scenes, results, str(tmp_path))
  assert (tmp_path / 'pictures/masks_0.png').exists()
  for contents, size in (
      (movie.wide, movie.wide_size),
      (movie.tall, movie.tall_size),
  ):
    with av.open(io.BytesIO(contents)) as file:
      shown = [f.to_ndarray(format='rgb24') for f in file.decode(video=0)]
    assert len(shown) == 3 and shown[0].shape[:2] == size
  assert movie.wide_size[1] > 6 * 256 and movie.tall_size[1] > 2 * 256


def test_reconstructions_are_read_by_step(tmp_path):
  assert demo_pictures.read_reconstructions(str(tmp_path)) == {}
  (tmp_path / 'pictures').mkdir()
  for step in (0, 60):
    name = f'pictures/reconstruction_clips_{step:07d}.png'
    (tmp_path / name).write_bytes(b'%d' % step)
  found = demo_pictures.read_reconstructions(str(tmp_path))
  assert found == {0: b'0', 60: b'60'}
