"""Tests the classification head: its loss, and several clips of a video."""

import numpy as np
from scipy import special
from sklearn import metrics

from rvm_jax.evals.heads import classification
from rvm_jax.evals.metrics import accuracy

HEAD = classification.ClassificationHead(5, num_params=8, num_heads=2)


def test_loss_agrees_with_scikit_learn():
  logits = np.random.default_rng(0).normal(0, 2, (6, 5)).astype(np.float32)
  batch = {'label': np.array([0, 4, 2, 1, 3, 0])}
  found = HEAD.loss(logits, batch)
  probabilities = HEAD.decode(logits, {})['probabilities']
  np.testing.assert_allclose(np.sum(probabilities, -1), 1, rtol=1e-6)
  probabilities = special.softmax(logits.astype(float), -1)
  wanted = [
      metrics.log_loss(batch['label'][i : i + 1], p[None], labels=range(5))
      for i, p in enumerate(probabilities)
  ]
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_probabilities_of_clips_are_averaged_not_logits():
  # Two videos of two clips each. The clips of a video are next to each other
  # in the batch.
  logits = np.array([[9, 0, 0], [-1, 9, 8], [-1, 9, 8], [0, 0, 3]], np.float32)
  logits = np.concatenate([logits, np.full((4, 2), -9, np.float32)], -1)
  probabilities = np.asarray(HEAD.decode(logits, {})['probabilities'])
  clips = probabilities.reshape(2, 2, 5)
  assert accuracy.top_1(clips, np.array([0, 2])).all()
  by_logits = logits.reshape(2, 2, 5).mean(1)
  assert by_logits.argmax(-1).tolist() == [1, 2]
