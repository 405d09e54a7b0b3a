"""Tests that the steps of `starve.py` take the time that they are given."""

import re

from benchmarks import starve


def test_runs_are_no_faster_than_the_rate_that_they_ask_for(
    tmp_path, make_video, capsys
):
  make_video(tmp_path / 'a.mp4', 30)
  starve.main(
      [
          *(str(tmp_path), '--pixels=16', '--batch_size=2', '--max_gap=8'),
          *('--num_workers=0', '--num_steps=8', '--shares', '0.5'),
      ]
  )
  first, second = capsys.readouterr().out.splitlines()[2:]
  most = float(re.match(r'\| 0 \| as many as can be \| (\d+) \|', first)[1])
  cells = [cell.strip() for cell in second.strip('|').split('|')]
  # No run does more clips a second than its steps ask for.
  assert float(cells[2]) <= 0.5 * most + 1
  assert 0 <= float(cells[3].rstrip('%')) < 100
