"""Something-Something v2: videos of what people do with objects, 174 classes.

The data set's folder holds

  20bn-something-something-v2/ID.webm
  something-something-v2-labels.json      {class: number as a string}
  something-something-v2-train.json       [{id, label, template, ...}]
  something-something-v2-validation.json  likewise

The lists may also be labels/labels.json, labels/train.json and
labels/validation.json.
"""

import os

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import labelled
from rvm_jax.evals.datasets import sampling as sampling_lib

SOURCE = (
    'Something-Something v2 is available from'
    ' https://www.qualcomm.com/developer/software/'
    'something-something-v-2-dataset; see docs/datasets/ssv2.md'
)


def read(
    data_dir: str,
    split: str,
    sampling: sampling_lib.Sampling,
    max_bad_share: float,
) -> tuple[list[labelled.LabelledClip], list[str]]:
  """Lists the clips of a split, and indexes their videos.

  Args:
    data_dir: folder that holds the lists and the folder of videos.
    split: name of the split, 'train' or 'validation'.
    sampling: how videos are cut. Its `flip` must be 0.
    max_bad_share: largest share of the split's videos that may be bad: missing,
      broken or of a single frame.

  Returns:
    The clips, those of a video together, and notes: sentences on the videos
    that are left out.

  Raises:
    FileNotFoundError: a file or folder is missing; the message names it.
    ValueError: a list has another form, a class is not in the list of classes,
      too many videos are bad, or `sampling` flips frames.
  """
  if sampling.flip:
    raise ValueError(
        f'flip={sampling.flip} must be 0, because classes tell left from right'
    )
  classes_file = _find(data_dir, 'labels')
  list_file = _find(data_dir, split)
  numbers = _read_classes(classes_file)
  entries = files.read_json(list_file, SOURCE)
  if not isinstance(entries, list) or not entries:
    raise ValueError(
        f'{list_file} must be a list of {{id, template}}, got'
        f' {str(entries)[:60]}'
    )
  folder = os.path.join(data_dir, '20bn-something-something-v2')
  if not os.path.isdir(folder):
    raise FileNotFoundError(f'the folder {folder} is missing. {SOURCE}')
  items = []
  for entry in entries:
    if not isinstance(entry, dict) or not {'id', 'template'} <= set(entry):
      raise ValueError(
          f'{list_file}: an entry must have id and template, got {entry}'
      )
    name = entry['template'].replace('[', '').replace(']', '')
    if name not in numbers:
      raise ValueError(
          f'{list_file}: video {entry["id"]} is of the class {name!r}, which'
          f' is none of the {len(numbers)} in {classes_file}'
      )
    path = os.path.abspath(os.path.join(folder, f'{entry["id"]}.webm'))
    items.append(labelled.LabelledVideo(str(entry['id']), path, numbers[name]))
  return labelled.open_clips(
      items,
      sorted(numbers, key=numbers.get),
      (classes_file, list_file),
      sampling,
      max_bad_share,
      SOURCE,
  )


def _read_classes(path: str) -> dict[str, int]:
  """Returns the number of each class, by name.

  Raises:
    ValueError: the file does not hold {class: number}, or the numbers are not
      0, 1, 2 and so on.
  """
  found = files.read_json(path, SOURCE)
  if isinstance(found, dict) and sorted(map(str, found.values())) == sorted(
      map(str, range(len(found)))
  ):
    return {name: int(number) for name, number in found.items()}
  raise ValueError(
      f'{path} must be {{class: number}}, with the numbers from 0 on, got'
      f' {str(found)[:60]}'
  )


def _find(data_dir: str, name: str) -> str:
  """Returns the path of a list, which is the newer one if that file exists."""
  older = os.path.join(data_dir, f'something-something-v2-{name}.json')
  newer = os.path.join(data_dir, 'labels', f'{name}.json')
  return newer if os.path.isfile(newer) else older
