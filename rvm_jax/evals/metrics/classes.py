"""Mean intersection over union of classes, over a whole data set."""

import numpy as np


def confusion(
    true: np.ndarray, predicted: np.ndarray, num_classes: int
) -> np.ndarray:
  """Counts pixels by true and predicted class.

  Args:
    true: int, of any shape; what is not in 0..num_classes - 1 is not counted.
    predicted: int, of the same shape, in 0..num_classes - 1 where it counts.
    num_classes: C.

  Returns:
    int64 [C, C], rows truth, columns prediction.

  Raises:
    ValueError: the shapes differ, or another class is predicted.
  """
  true, predicted = np.asarray(true), np.asarray(predicted)
  if true.shape != predicted.shape:
    raise ValueError(
        'true and predicted must have one shape, got'
        f' {true.shape} and {predicted.shape}'
    )
  counts = (0 <= true) & (true < num_classes)
  true, predicted = true[counts].astype(int), predicted[counts].astype(int)
  if ((predicted < 0) | (predicted >= num_classes)).any():
    raise ValueError(
        f'predicted classes must be in 0..{num_classes - 1}, got'
        f' {predicted.min()} to {predicted.max()}'
    )
  pairs = np.bincount(num_classes * true + predicted, minlength=num_classes**2)
  return pairs.reshape(num_classes, num_classes)


def iou(confusion: np.ndarray) -> np.ndarray:
  """Intersection over union of each class, from int [C, C].

  Returns:
    float64 [C] in [0, 1], NaN for a class that is neither there nor predicted.
  """
  both = np.diag(confusion)
  either = confusion.sum(0) + confusion.sum(1) - both
  return np.where(either > 0, both / np.maximum(either, 1), np.nan)
