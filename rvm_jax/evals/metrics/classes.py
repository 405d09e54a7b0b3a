"""Per-class intersection over union (IoU) of a whole data set.

This is the VIP protocol of the released RVM evaluation: one confusion matrix
over all pixels of all videos; mIoU is the mean IoU over the classes that occur.
"""

import numpy as np


def confusion(
    true: np.ndarray, predicted: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts pixels by ground-truth and predicted class.

  Args:
    true: ground-truth classes, int of any shape. Pixels outside of
      0..num_classes - 1 are not counted.
    predicted: predicted classes, int of the same shape. They must be in
      0..num_classes - 1 wherever the pixel is counted.
    num_classes: number of classes, C.

  Returns:
    Confusion matrix, int64 [C, C]: rows are ground-truth classes, columns
    predicted ones. Matrices of several videos may be added up.

  Raises:
    ValueError: the shapes differ, or a predicted class is out of range.
  """
  true, predicted = np.asarray(true), np.asarray(predicted)
  if true.shape != predicted.shape:
    raise ValueError(
        'true and predicted must have one shape, got'
        f' {true.shape} and {predicted.shape}'
    )
  is_counted = (0 <= true) & (true < num_classes)
  true = true[is_counted].astype(int)
  predicted = predicted[is_counted].astype(int)
  if ((predicted < 0) | (predicted >= num_classes)).any():
    raise ValueError(
        f'predicted classes must be in 0..{num_classes - 1}, got'
        f' {predicted.min()} to {predicted.max()}'
    )
  pairs = np.bincount(num_classes * true + predicted, minlength=num_classes**2)
  return pairs.reshape(num_classes, num_classes)


def iou(confusion: np.ndarray) -> np.ndarray:
  """Computes the IoU of each class; mIoU is `np.nanmean` of the result.

  Args:
    confusion: confusion matrix, int [C, C], as returned by `confusion`.

  Returns:
    float64 [C] in [0, 1], NaN for a class that is neither in the ground truth
    nor predicted anywhere.
  """
  intersection = np.diag(confusion)
  union = confusion.sum(0) + confusion.sum(1) - intersection
  return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)
