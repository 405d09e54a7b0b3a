"""The command prints where the time went, and writes a page."""

import json

from rvm_jax.training import goodput
from tests.training import ledgers


def write_ledger(workdir):
  writer = ledgers.Writer()
  writer.start(0, flops=40.0, peak=10.0)
  writer.add('compile', 1, 30, **{'from': 0}, data_wait=0)
  writer.steps(1, 11, 60)
  writer.add('end', 11, code=76, why='process <1> lost')
  writer.now += 100
  writer.start(1, lost=10, down=100.0, flops=40.0, peak=10.0)
  writer.steps(1, 11, 60)
  path = workdir / 'ledger.jsonl'
  path.write_text(''.join(json.dumps(line) + '\n' for line in writer.lines))
  # A line that a kill has torn.
  with path.open('a') as f:
    f.write('{"event": "ste')


def test_goodput_prints_tables(tmp_path, capsys):
  write_ledger(tmp_path)
  assert goodput.main([str(tmp_path)]) == 0
  rows = [
      ' '.join(line.split()) for line in capsys.readouterr().out.splitlines()
  ]
  # 60 of 270 seconds.
  for row in (
      'goodput 22.2 %',
      'wall time 0:04:30',
      'steps done 11',
      'steps per second 0.167',
      'starts 2',
      'MFU in steps 66.7 %',
      'useful steps 0:01:00 22.2 %',
      'compiling 0:00:30 11.1 %',
      'steps done again 0:01:00 22.2 %',
      'down 0:01:40 37.0 %',
  ):
    assert row in rows, row
  first, second = rows[-2:]
  assert '0 to 11 0:01:40 10 4 x TPU v4 exit code 76: process <1>' in first
  assert '0:01:40 1 to 11 0:01:10 0 4 x TPU v4 running or killed' in second


def test_goodput_writes_a_page(tmp_path):
  write_ledger(tmp_path)
  page = tmp_path / 'page.html'
  assert goodput.main([str(tmp_path), f'--html={page}']) == 0
  text = page.read_text()
  assert '<svg' in text and 'process &lt;1&gt; lost' in text
  assert '22.2 %' in text


def test_goodput_of_a_run_without_steps_has_a_page(tmp_path, capsys):
  writer = ledgers.Writer()
  writer.start(0)
  (tmp_path / 'ledger.jsonl').write_text(json.dumps(writer.lines[0]) + '\n')
  page = tmp_path / 'page.html'
  assert goodput.main([str(tmp_path), f'--html={page}']) == 0
  assert 'No steps were timed yet' in page.read_text()
  # No peak is known, so that there is no utilisation.
  assert 'MFU' not in capsys.readouterr().out + page.read_text()


def test_goodput_of_a_folder_without_ledger_is_an_error(tmp_path, capsys):
  assert goodput.main([str(tmp_path)]) == 2
  error = capsys.readouterr().err
  assert error.startswith('error: ') and str(tmp_path) in error
  assert error.count('\n') == 1
