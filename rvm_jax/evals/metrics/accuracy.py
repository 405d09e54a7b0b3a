"""Top-1 accuracy of videos that are judged by several clips."""

import numpy as np


def top_1(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Whether the class most probable over a video's clips is the true one.

  Probabilities, not logits, are averaged over clips, as the released readout
  does. Of equal ones the first class is taken.

  Args:
    probabilities: float [V, clips, K].
    labels: int [V], in 0..K - 1.

  Returns:
    bool [V].

  Raises:
    ValueError: shapes that do not fit, or a label that is no class.
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
