"""The folder of a report, and the hash over the files of a data set."""

import csv
import json

import numpy as np
from PIL import Image
import pytest

from rvm_jax.evals import report as report_lib


@pytest.fixture
def report(tmp_path):
  data = tmp_path / 'data'
  data.mkdir()
  for name in 'ab':
    (data / name).write_text(name)
  return report_lib.Report(
      task='VIP mIoU',
      headline='miou',
      scores={'miou': 12.5, 'num_videos': 2},
      rows=[{'video': 'x, y', 'miou': 10.0}, {'video': 'z', 'miou': 15.0}],
      pictures={'z': np.full((4, 6, 3), 7, np.uint8)},
      files=[str(data / 'b'), str(data / 'a'), str(data / 'a')],
      notes=['said'],
  )


def test_a_report_is_written_with_its_rows_and_pictures(report, tmp_path):
  data, out = tmp_path / 'data', tmp_path / 'out'
  report_lib.write(report, str(out), str(data), {'seconds': 3.5})
  assert sorted(p.name for p in out.iterdir()) == [
      'picture_z.png',
      'result.json',
      'rows.csv',
  ]
  assert json.loads((out / 'result.json').read_text()) == {
      'task': 'VIP mIoU',
      'headline': 'miou',
      'lower_is_better': False,
      'scores': {'miou': 12.5, 'num_videos': 2},
      'notes': ['said'],
      'seconds': 3.5,
      'data': {
          'folder': str(data),
          'num_files': 2,
          'manifest': report_lib.hash_files(report.files, str(data)),
      },
  }
  with open(out / 'rows.csv', newline='') as f:
    assert list(csv.DictReader(f)) == [
        {'video': 'x, y', 'miou': '10.0'},
        {'video': 'z', 'miou': '15.0'},
    ]
  picture = np.asarray(Image.open(out / 'picture_z.png'))
  np.testing.assert_array_equal(picture, report.pictures['z'])


def test_the_hash_depends_on_names_and_contents_but_not_on_the_folder(
    report, tmp_path
):
  data = tmp_path / 'data'
  first = report_lib.hash_files(report.files, str(data))
  assert len(first) == 16
  assert report_lib.hash_files(report.files[:2], str(data)) == first
  assert report_lib.hash_files(report.files[:1], str(data)) != first
  moved = data.rename(tmp_path / 'elsewhere')
  files = [str(moved / name) for name in 'ab']
  assert report_lib.hash_files(files, str(moved)) == first
  for changed in ('c', 'b' + 2**16 * 'b'):
    (moved / 'b').write_text(changed)
    assert report_lib.hash_files(files, str(moved)) != first
  (moved / 'b').rename(moved / 'c')
  (moved / 'c').write_text('b')
  files = [str(moved / name) for name in 'ac']
  assert report_lib.hash_files(files, str(moved)) != first


def test_a_report_is_written_whole_or_not_and_replaces_nothing(
    report, tmp_path
):
  out = tmp_path / 'out'
  report.scores['miou'] = float('nan')
  with pytest.raises(ValueError, match='not JSON compliant'):
    report_lib.write(report, str(out), str(tmp_path), {})
  assert not out.exists()
  report.scores['miou'] = 1.0
  report.pictures['broken'] = np.zeros((2, 2, 2))
  with pytest.raises(TypeError):
    report_lib.write(report, str(out), str(tmp_path), {})
  assert not out.exists() and len(list(tmp_path.iterdir())) == 1
  del report.pictures['broken']
  report_lib.write(report, str(out), str(tmp_path), {})
  with pytest.raises(FileExistsError, match='is there already'):
    report_lib.write(report, str(out), str(tmp_path), {})
