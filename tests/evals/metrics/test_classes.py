"""Tests the IoU of classes against the released evaluation, and by hand."""

import pathlib

import numpy as np
import pytest

from rvm_jax.evals.metrics import classes

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'


def test_mean_iou_agrees_with_the_released_evaluation():
  golden = np.load(GOLDEN)
  found = classes.confusion(golden['masks'], golden['segmentation'], 20)
  np.testing.assert_allclose(
      np.nanmean(classes.iou(found)), golden['vip_miou'], atol=1e-12
  )


def test_confusion_and_iou_of_a_hand_worked_example():
  true = np.array([0, 0, 0, 1, 1, 255, 2])
  predicted = np.array([0, 0, 1, 1, 0, 3, 1])
  found = classes.confusion(true, predicted, 4)
  np.testing.assert_array_equal(
      found, [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
  )
  # Class 2 is never predicted. Class 3 is predicted once, but only where the
  # ground truth is not counted.
  np.testing.assert_allclose(classes.iou(found), [2 / 4, 1 / 4, 0, np.nan])


def test_confusion_refuses_unknown_classes_and_wrong_shapes():
  with pytest.raises(ValueError, match=r'in 0\.\.3, got 1 to 4'):
    classes.confusion(np.array([0, 1]), np.array([1, 4]), 4)
  with pytest.raises(ValueError, match=r'\(2,\) and \(3,\)'):
    classes.confusion(np.zeros(2, int), np.zeros(3, int), 4)
