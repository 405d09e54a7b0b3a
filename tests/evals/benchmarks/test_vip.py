"""Tests that the pixels of all frames of VIP count in one confusion matrix."""

import functools

import numpy as np
import pytest

from rvm_jax.evals.benchmarks import vip as vip_lib
from rvm_jax.evals.datasets import vip as dataset
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.propagation import videos
from tests.evals import tiny_sets

evaluate = functools.partial(
    vip_lib.evaluate,
    pixels.make(8),
    height=48,
    width=64,
    propagation=dict(num_context=2, temperature=0.7, top_k=1, radius=20),
)


def mask_path(root, video, frame):
  return root / f'Annotations/Category_ids/{video}/{frame:05d}.png'


def test_evaluate_follows_parts_of_constant_colour(vip):
  root, masks = vip
  report = evaluate(str(root))
  assert report.scores['iou_background'] > 98
  assert report.scores['iou_hat'] > 60
  # The shoe is not in the first frame.
  assert report.scores['iou_right-shoe'] == 0
  assert len(report.rows) == 3 and sorted(report.pictures) == sorted(masks)
  (note,) = report.notes
  assert note.startswith('left out, as neither') and 'face' in note
  assert 'hat' not in note.split(': ')[1].split(', ')


def test_evaluate_counts_pixels_of_all_videos_together(vip, monkeypatch):
  root, masks = vip
  rng = np.random.default_rng(0)
  predicted = {
      name: np.where(rng.random(m.shape) < 0.9, m, 1)
      for name, m in masks.items()
  }
  remaining = list(predicted.values())
  monkeypatch.setattr(videos, 'propagate_masks', lambda *_: remaining.pop(0))
  report = evaluate(str(root))
  true = np.concatenate([m.ravel() for m in masks.values()])
  found = np.concatenate([m.ravel() for m in predicted.values()])
  scores = []
  for number in np.unique(true):
    both = ((true == number) & (found == number)).sum()
    scores.append(100 * both / ((true == number) | (found == number)).sum())
    name = dataset.CLASSES[number]
    assert report.scores[f'iou_{name}'] == pytest.approx(scores[-1])
  assert report.scores['miou'] == pytest.approx(np.mean(scores))
  mean_of_videos = np.mean([row['miou'] for row in report.rows])
  assert mean_of_videos != pytest.approx(np.mean(scores), abs=0.1)


def test_evaluate_scores_masks_that_stay(vip):
  root, masks = vip
  report = evaluate(str(root))
  rows = {row['video']: row for row in report.rows}
  # The only object of the video does not move. On the grid of patches its
  # corners are rounded off.
  assert rows['videos1']['stay_miou'] == 100
  assert 60 < rows['videos1']['stay_grid_miou'] < 100
  true = np.concatenate([m.ravel() for m in masks.values()])
  stay = np.concatenate([m[:1].repeat(6, 0).ravel() for m in masks.values()])
  expected = np.mean(
      [
          ((true == n) & (stay == n)).sum() / ((true == n) | (stay == n)).sum()
          for n in np.unique(true)
      ]
  )
  assert report.scores['stay_miou'] == pytest.approx(100 * expected)
  assert f'{report.scores["stay_grid_miou"]:.1f}' in report.lines[2]


def test_evaluate_neither_propagates_nor_counts_pixels_without_a_label(vip):
  root, masks = vip
  for frame in (0, 3):
    mask = masks['videos1'][frame].copy()
    # The only object of the video has no label in two frames.
    mask[mask > 0] = 255
    tiny_sets.save(mask_path(root, 'videos1', frame), mask)
  report = evaluate(str(root))
  assert 'videos1: some pixels have no label and do not count' in report.notes
  (row,) = [row for row in report.rows if row['video'] == 'videos1']
  # In the 4 other frames all pixels are predicted as background, also those of
  # the object. Its 64 pixels in frames 0 and 3 do not count.
  background = 1 - 4 * 64 / (6 * 48 * 64 - 2 * 64)
  assert row['miou'] == pytest.approx(100 * background / 2)


def test_evaluate_refuses_labels_that_are_not_classes(vip):
  root, masks = vip
  mask = masks['videos1'][4]
  tiny_sets.save(
      mask_path(root, 'videos1', 4), np.where(mask, np.uint8(20), mask)
  )
  with pytest.raises(ValueError, match='videos1: mask 4 has the label 20'):
    evaluate(str(root))
  tiny_sets.save(mask_path(root, 'videos0', 0), np.full_like(mask, 255))
  with pytest.raises(ValueError, match='videos0: the first mask must have lab'):
    evaluate(str(root))


def test_evaluate_scores_videos_of_a_single_frame(vip):
  root, _ = vip
  for folder in ('Images', 'Annotations/Category_ids'):
    for file in sorted((root / folder / 'videos1').iterdir())[1:]:
      file.unlink()
  report = evaluate(str(root))
  assert [row['num_frames'] for row in report.rows] == [6, 1, 6]
