"""Arrays that RVM cannot take are refused, with their names."""

import numpy as np
import pytest

from rvm_jax.models import inputs

SOURCE = np.zeros((2, 4, 32, 48, 3), np.uint8)
TARGETS = dict(
    target=np.zeros((2, 3, 32, 48, 3), np.float32),
    deltas=np.zeros((2, 3), np.int32),
    visible=np.zeros((2, 3, 2), np.int32),
)


def test_fitting_arrays_are_taken():
  inputs.check_targets(SOURCE, **TARGETS)


@pytest.mark.parametrize(
    'frames', [SOURCE[0], SOURCE[..., :2], SOURCE[:, :0], SOURCE.astype(int)]
)
def test_frames_of_another_shape_or_dtype_are_refused(frames):
  with pytest.raises(ValueError, match='film must be .* got'):
    inputs.check_frames('film', frames)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'target': TARGETS['target'][:1]}, r'target must have the .*\(2, 3,'),
        ({'deltas': np.zeros((2, 4), int)}, r'deltas must have the .*\(2, 3\)'),
        ({'deltas': np.full((2, 3), 64)}, r'deltas must lie in 0\.\.63, got'),
        ({'deltas': np.zeros((2, 3))}, 'deltas must hold integers, got float'),
        ({'visible': np.zeros((2, 3), int)}, 'visible must have the shape'),
    ],
)
def test_targets_that_do_not_fit_are_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    inputs.check_targets(SOURCE, **TARGETS | changes)
