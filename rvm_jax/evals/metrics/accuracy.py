"""Top-1 accuracy of videos that are classified from several clips."""

import numpy as np


def top_1(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Returns whether each video's most probable class is its label.

  The probabilities of a video's clips are averaged first. Averaging
  probabilities, not logits, follows the released readout module (its
  `num_test_clips`). Among equally probable classes the first one is taken.

  Args:
    probabilities: class probabilities of each clip, float [V, clips, K], for V
      videos and K classes.
    labels: ground-truth classes, int [V], in 0..K - 1.

  Returns:
    bool [V]; the top-1 accuracy is its mean.

  Raises:
    ValueError: the shapes do not fit together, or a label is not a class.
  """
  if probabilities.ndim != 3 or labels.shape != probabilities.shape[:1]:
    raise ValueError(
        'probabilities and labels must be [V, clips, K] and [V], got'
        f' {probabilities.shape} and {labels.shape}'
    )
  num_classes = probabilities.shape[-1]
  if ((labels < 0) | (labels >= num_classes)).any():
    raise ValueError(
        f'labels must be in 0..{num_classes - 1}, got {labels.min()} to'
        f' {labels.max()}'
    )
  return probabilities.mean(1).argmax(-1) == labels
