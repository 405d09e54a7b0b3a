"""The report of a benchmark, and the folder that it is written to.

result.json       scores and what they depend on, described in `evals.run`
rows.csv          a row for each video, clip or object
picture_NAME.png  a few videos
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

# Number of bytes at the start of a file that its hash covers.
_HEAD = 2**16


@dataclasses.dataclass(frozen=True)
class Report:
  """The result of a benchmark.

  Attributes:
    task: title of the benchmark's column in a table, such as 'DAVIS-2017 J&F'.
    headline: key of the score in that column.
    scores: scores by name; shares are percentages, 0 to 100.
    rows: values by name for each video, clip or object, all with the same keys.
    pictures: pictures by name, uint8 [height, width, 3].
    files: paths of all files that the scores depend on.
    notes: sentences that a reader of the scores must know.
    generated: hash over the data if they are generated; None if they are in
      `files`.
    lower_is_better: whether a lower headline is better.
    columns: (task, headline, lower_is_better) for each task of a benchmark that
      has several; `task`, `headline` and `lower_is_better` above are then those
      of its main task. Empty for a benchmark with one task.
    lines: lines to print on the terminal.
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
  """Writes a report to a new folder, which appears once it is complete.

  Args:
    report: the report.
    folder: path of the new folder.
    data_dir: folder of the data set; None if the data are generated.
    about: further entries of `result.json`, by name.

  Raises:
    FileExistsError: `folder` exists.
    OSError: the folder cannot be written, or a file of the data set is gone.
    ValueError: a score is not finite.
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
    with open(os.path.join(part, 'result.json'), 'w', encoding='utf-8') as f:
      f.write(text + '\n')
    path = os.path.join(part, 'rows.csv')
    with open(path, 'w', encoding='utf-8', newline='') as f:
      writer = csv.DictWriter(f, report.rows[0])
      writer.writeheader()
      writer.writerows(report.rows)
    for name, picture in report.pictures.items():
      sheets.save_png(os.path.join(part, f'picture_{name}.png'), picture)


def hash_files(paths: Sequence[str], folder: str) -> str:
  """Returns a hash over the names, sizes and first 64 KiB of files.

  The rest of the files is left out, because reading a whole data set of videos
  just for the hash would take hours.

  Args:
    paths: paths of the files, in any order; a path that occurs twice counts
      once.
    folder: folder that the hashed names are relative to.
  """

  def parts():
    for path in sorted(set(paths)):
      name, size = os.path.relpath(path, folder), os.path.getsize(path)
      with open(path, 'rb') as f:
        head = hashlib.sha256(f.read(_HEAD)).hexdigest()
      yield f'{name} {size} {head}\n'.encode()

  return fingerprints.hash_parts(parts())
