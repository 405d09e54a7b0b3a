"""Frames in, masks out: resizing, and the released evaluation as a whole."""

import pathlib

import numpy as np
from PIL import Image

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.metrics import regions
from rvm_jax.evals.propagation import videos

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'


def test_features_and_a_first_mask_give_the_released_masks_and_scores():
  golden = np.load(GOLDEN)
  found = videos.propagate_masks(
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
  np.testing.assert_array_equal(found, golden['segmentation'])
  objects = golden['label_map'][1:, None, None, None]
  pair = golden['masks'][None, 1:-1] == objects, found[None, 1:-1] == objects
  np.testing.assert_allclose(regions.jaccard(*pair), golden['jaccard'])
  np.testing.assert_allclose(regions.boundary_f(*pair), golden['boundary_f'])


def test_the_model_sees_resized_frames_and_its_features_get_unit_length():
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 256, (3, 40, 50, 3), np.uint8)
  seen = []

  def encode(frames):
    seen.append(frames)
    return encoder_lib.FrameFeatures(
        np.float32(rng.normal(size=(1, 3, 4, 2, 5))), None
    )

  model = encoder_lib.FrozenEncoder('any', 'none', 16, 'none', encode)
  found = videos.encode(model, frames, (64, 32))
  assert found.shape == (3, 4, 2, 5)
  np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, rtol=1e-5)
  (resized,) = seen
  for frame, image in zip(resized[0], frames):
    expected = Image.fromarray(image).resize((32, 64), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(frame, expected)
