"""Tests reading losses and finding pictures in a workdir."""

import json

from rvm_jax.evals.scenes import history


def test_the_losses_of_a_run_are_read(tmp_path):
  lines = [
      {'step': 0, 'time': 100.0, 'eval/reconstruction/loss': 0.5},
      {'step': 2, 'time': 104.0, 'train/loss': 0.25, 'train/clips_seen': 8.0},
      {'step': 3, 'time': 105.0, 'train/loss': None, 'train/clips_seen': 12.0},
      {'step': 4, 'time': 106.5, 'train/loss': 0.125, 'train/clips_seen': 16.0},
      {'step': 4, 'time': 112.5, 'eval/reconstruction/loss': 0.5},
  ]
  text = ''.join(json.dumps(line) + '\n' for line in lines)
  (tmp_path / 'metrics.jsonl').write_text(text)
  found = history.read(tmp_path)
  assert found.steps.tolist() == [2, 4]
  assert found.losses.tolist() == [0.25, 0.125]
  assert (found.clips, found.seconds) == (16, 12.5)


def test_a_run_without_metrics_has_no_history(tmp_path):
  assert history.read(tmp_path) is None
  (tmp_path / 'metrics.jsonl').write_text('{"step": 0, "time": 1.0}\n')
  assert history.read(tmp_path) is None


def test_pictures_are_spread_over_the_evaluations(tmp_path):
  assert history.find_reconstructions(tmp_path, 3) == {}
  folder = tmp_path / 'pictures'
  folder.mkdir()
  for step in (0, 400, 800, 1200, 1600):
    (folder / f'reconstruction_clips_{step:07d}.png').touch()
  (folder / 'scenes_masks_0000000.png').touch()
  found = history.find_reconstructions(tmp_path, 3)
  assert [*found] == [0, 800, 1600]
  assert found[800] == str(folder / 'reconstruction_clips_0000800.png')
  assert len(history.find_reconstructions(tmp_path, 9)) == 5
