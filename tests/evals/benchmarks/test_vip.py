"""VIP: one confusion of all pixels of all frames."""

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


def path(root, video, frame):
  return root / f'Annotations/Category_ids/{video}/{frame:05d}.png'


def test_finds_what_looks_the_same(vip):
  root, masks = vip
  report = evaluate(str(root))
  assert report.scores['iou_background'] > 98
  assert report.scores['iou_hat'] > 60
  assert report.scores['iou_right-shoe'] == 0  # Not in the first frame.
  assert len(report.rows) == 3 and sorted(report.pictures) == sorted(masks)
  (note,) = report.notes
  assert note.startswith('left out, as neither') and 'face' in note
  assert 'hat' not in note.split(': ')[1].split(', ')


def test_pools_all_frames_before_it_averages(vip, monkeypatch):
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
  of_videos = np.mean([row['miou'] for row in report.rows])
  assert of_videos != pytest.approx(np.mean(scores), abs=0.1)


def test_pixels_without_a_label_are_neither_carried_nor_counted(vip):
  root, masks = vip
  for frame in (0, 3):
    mask = masks['videos1'][frame].copy()
    mask[mask > 0] = 255  # All of its only object.
    tiny_sets.save(path(root, 'videos1', frame), mask)
  report = evaluate(str(root))
  assert 'videos1: some pixels have no label and do not count' in report.notes
  (row,) = [row for row in report.rows if row['video'] == 'videos1']
  # Of the object's 4 other frames nothing is found; all else is background.
  background = 1 - 4 * 64 / (6 * 48 * 64 - 2 * 64)
  assert row['miou'] == pytest.approx(100 * background / 2)


def test_refuses_labels_that_are_no_class(vip):
  root, masks = vip
  mask = masks['videos1'][4]
  tiny_sets.save(path(root, 'videos1', 4), np.where(mask, np.uint8(20), mask))
  with pytest.raises(ValueError, match='videos1: mask 4 has the label 20'):
    evaluate(str(root))
  tiny_sets.save(path(root, 'videos0', 0), np.full_like(mask, 255))
  with pytest.raises(ValueError, match='videos0: the first mask must have lab'):
    evaluate(str(root))


def test_a_video_with_a_single_frame_counts(vip):
  root, _ = vip
  for folder in ('Images', 'Annotations/Category_ids'):
    for file in sorted((root / folder / 'videos1').iterdir())[1:]:
      file.unlink()
  report = evaluate(str(root))
  assert [row['num_frames'] for row in report.rows] == [6, 1, 6]
