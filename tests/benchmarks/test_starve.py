"""Steps of the fake run take the time that they are told to take."""

import re

from benchmarks import starve


def test_steps_take_their_time(tmp_path, make_video, capsys):
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
