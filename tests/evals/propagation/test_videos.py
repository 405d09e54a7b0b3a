"""Tests encoding, propagating and scoring videos in label propagation."""

import pathlib
from typing import NamedTuple

import numpy as np
from PIL import Image

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import regions
from rvm_jax.evals.propagation import videos

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'


def test_propagate_masks_agrees_with_the_released_evaluation():
  golden = np.load(GOLDEN)
  masks = videos.propagate_masks(
      golden['features'],
      golden['masks'][0],
      np.unique(golden['masks'][0]),
      (240, 320),
      dict(
          num_context=int(golden['arg_n_context']),
          temperature=float(golden['arg_temperature']),
          top_k=int(golden['arg_topk']),
          radius=int(golden['arg_radius']),
      ),
  )
  np.testing.assert_array_equal(masks, golden['segmentation'])

  # The scores of the predicted masks agree too.
  objects = golden['label_map'][1:, None, None, None]
  pair = golden['masks'][None, 1:-1] == objects, masks[None, 1:-1] == objects
  np.testing.assert_allclose(regions.jaccard(*pair), golden['jaccard'])
  np.testing.assert_allclose(regions.boundary_f(*pair), golden['boundary_f'])


def test_encode_resizes_frames_and_normalizes_features():
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (3, 40, 50, 3), np.uint8)
  passed = []

  def encode(frames):
    passed.append(frames)
    return encoder_lib.FrameFeatures(
        np.float32(rng.normal(size=(1, 3, 4, 2, 5))), None
    )

  model = encoder_lib.FrozenEncoder('any', 'none', 16, 'none', encode)
  found = videos.encode(model, frames, (64, 32))
  assert found.shape == (3, 4, 2, 5)
  np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, rtol=1e-5)
  (resized,) = passed
  for frame, image in zip(resized[0], frames):
    expected = Image.fromarray(image).resize((32, 64), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(frame, expected)


class Video(NamedTuple):
  name: str
  files: tuple[str, ...]


def score(video):
  """Returns a score with as many rows as the video's number modulo 3."""
  number = int(video.name)
  return videos.VideoScore(
      measures=number,
      rows=[{'video': video.name, 'object': i} for i in range(number % 3)],
      notes=[f'note on {number}'] if number < 2 else [],
      draw=lambda: np.full((1, 1, 3), number, np.uint8),
  )


def test_score_all_joins_the_scores_of_all_videos():
  six_videos = [Video(str(i), (f'{i}.jpg', f'{i}.png')) for i in range(6)]
  found = videos.score_all(six_videos, score)
  assert found.measures == [0, 1, 2, 3, 4, 5]
  assert [(row['video'], row['object']) for row in found.rows] == [
      ('1', 0),
      ('2', 0),
      ('2', 1),
      ('4', 0),
      ('5', 0),
      ('5', 1),
  ]
  assert found.notes == ['note on 0', 'note on 1']
  assert found.files[:3] == ['0.jpg', '0.png', '1.jpg']
  assert len(found.files) == 12


def test_score_all_draws_only_the_videos_that_are_shown():
  six_videos = [Video(str(i), ()) for i in range(6)]
  found = videos.score_all(six_videos, score)
  assert list(found.pictures) == ['0', '2', '3', '5']
  for name, picture in found.pictures.items():
    assert picture.max() == int(name)
