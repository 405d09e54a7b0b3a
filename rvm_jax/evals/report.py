"""What a benchmark found, and the folder that it is kept in.

result.json    see `write`
rows.csv       a row for each object or video
picture_*.png  a few videos
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import hashlib
import json
import os
from typing import Any

import numpy as np

from rvm_jax.storage import files as files_lib
from rvm_jax.storage import fingerprints
from rvm_jax.viz import sheets

_HEAD = 2**16  # Bytes of a file that its hash covers.


@dataclasses.dataclass(frozen=True)
class Report:
  """What a benchmark gives back.

  Attributes:
    task: the benchmark's column in a table, such as 'DAVIS-2017 J&F'.
    headline: the key in `scores` that stands there.
    scores: name -> number; shares are percentages, 0 to 100.
    rows: one for each object or video, all with the same keys.
    pictures: name -> uint8 [height, width, 3].
    files: paths of all files that the scores depend on.
    notes: what a reader of the scores must know.
    generated: a hash over the data, where no file holds them.
    lower_is_better: of the headline.
    columns: of a benchmark of several tasks, (task, headline, lower_is_better)
      of each; the three above are then one of them.
    lines: for people, on the terminal.
  """

  task: str
  headline: str
  scores: Mapping[str, float]
  rows: Sequence[Mapping[str, Any]]
  pictures: Mapping[str, np.ndarray]
  files: Sequence[str]
  notes: Sequence[str] = ()
  generated: str | None = None
  lower_is_better: bool = False
  columns: Sequence[tuple[str, str, bool]] = ()
  lines: Sequence[str] = ()


def write(
    report: Report, folder: str, data_dir: str | None, about: Mapping[str, Any]
):
  """Writes a report to a new folder, which appears once it is whole.

  `result.json` has of the report task, headline, lower_is_better, scores and
  notes; all that is in `about`; and `data`: the folder (none where the data are
  generated), the number of files and a hash over them, see `hash_files`, or
  over what was generated.

  Raises:
    FileExistsError: there is something at `folder`.
    ValueError: a score that is not finite.
  """
  keys = 'task', 'headline', 'lower_is_better', 'scores', 'notes'
  keys += ('columns',) if report.columns else ()
  result = (
      {key: getattr(report, key) for key in keys}
      | about
      | {
          'data': {
              'folder': data_dir and os.path.abspath(data_dir),
              'num_files': len(set(report.files)),
              'manifest': report.generated
              or hash_files(report.files, data_dir or os.curdir),
          }
      }
  )
  text = json.dumps(result, indent=2, allow_nan=False)
  with files_lib.write_whole(folder) as part:
    os.mkdir(part)
    path = lambda name: os.path.join(part, name)
    with open(path('result.json'), 'w', encoding='utf-8') as f:
      f.write(text + '\n')
    with open(path('rows.csv'), 'w', encoding='utf-8', newline='') as f:
      writer = csv.DictWriter(f, report.rows[0])
      writer.writeheader()
      writer.writerows(report.rows)
    for name, picture in report.pictures.items():
      sheets.save_png(path(f'picture_{name}.png'), picture)


def hash_files(paths: Sequence[str], folder: str) -> str:
  """Sixteen hexadecimal digits for the names, sizes and heads of files.

  Of each file the first 64 KiB count: to read all of a data set of videos once
  more would take hours.

  Args:
    paths: in any order.
    folder: what their names are relative to.
  """

  def parts():
    for path in sorted(set(paths)):
      name, size = os.path.relpath(path, folder), os.path.getsize(path)
      with open(path, 'rb') as f:
        head = hashlib.sha256(f.read(_HEAD)).hexdigest()
      yield f'{name} {size} {head}\n'.encode()

  return fingerprints.hash_parts(parts())
