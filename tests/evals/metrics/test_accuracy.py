"""Tests top-1 accuracy against scikit-learn and hand-worked examples."""

import numpy as np
import pytest
from sklearn import metrics

from rvm_jax.evals.metrics import accuracy


def test_top_1_agrees_with_scikit_learn():
  rng = np.random.default_rng(0)
  probabilities = rng.dirichlet(np.ones(5), (40, 3))
  labels = rng.integers(5, size=40)
  wanted = metrics.top_k_accuracy_score(
      labels, probabilities.sum(1), k=1, labels=range(5)
  )
  found = accuracy.top_1(probabilities, labels)
  assert found.dtype == bool
  assert found.mean() == wanted


def test_top_1_averages_probabilities_not_votes():
  clips = np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
  assert accuracy.top_1(clips[None], np.array([0])).all()
  assert not accuracy.top_1(clips[None, 1:], np.array([0])).any()


def test_top_1_refuses_wrong_shapes_and_labels():
  clips = np.full((2, 3, 4), 0.25)
  with pytest.raises(ValueError, match=r'got \(2, 4\) and \(2,\)'):
    accuracy.top_1(clips[:, 0], np.array([0, 1]))
  with pytest.raises(ValueError, match=r'in 0\.\.3, got 1 to 4'):
    accuracy.top_1(clips, np.array([1, 4]))
