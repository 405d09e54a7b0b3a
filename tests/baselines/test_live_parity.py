"""The image models against transformers, on new random parameters.

Unlike the golden files, the expected tokens are computed while the test runs.
It is skipped if transformers is not installed (pip install torch transformers).
"""

import numpy as np
import pytest

from rvm_jax import baselines
from tests.baselines import published


@pytest.mark.parametrize(
    'name', ['dinov2', 'dinov2_registers', 'dinov3', 'dinov3_gated']
)
def test_image_models_equal_transformers(name, tmp_path):
  pytest.importorskip('torch')
  pytest.importorskip('transformers')
  from tests.baselines import make_golden_images

  golden = published.Golden(make_golden_images.make(name, 1000))
  folder = published.write_folder(tmp_path / 'x', golden.config, golden.params)
  found = published.differences(*baselines.load(folder), golden.cases)
  print(f'largest differences {found}')
  assert np.max(found) < 1e-5
