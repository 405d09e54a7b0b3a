"""DAVIS-2017 at 480p, its validation videos, as its authors give them out.

ImageSets/2017/val.txt
JPEGImages/480p/NAME/*.jpg
Annotations/480p/NAME/*.png
"""

import os

from rvm_jax.evals.datasets import davis_prepared
from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import masked

SOURCE = (
    'DAVIS-2017 (TrainVal, 480p) is had from https://davischallenge.org; see'
    ' docs/datasets/davis.md'
)


def read(data_dir: str) -> list[masked.MaskedVideo]:
  """Lists the validation videos, whose files are not opened yet.

  Args:
    data_dir: the folder DAVIS; or davis/480p/2.1.0 as tensorflow-datasets
      prepares it, see `davis_prepared`.

  Raises:
    FileNotFoundError: names the file or folder that is missing.
    ValueError, ImportError: see `davis_prepared.read`.
  """
  if os.path.isfile(os.path.join(data_dir, 'dataset_info.json')):
    return davis_prepared.read(data_dir)
  names = files.read_lines(
      os.path.join(data_dir, 'ImageSets', '2017', 'val.txt'), SOURCE
  )
  return [
      masked.open_folders(
          name,
          os.path.join(data_dir, 'JPEGImages', '480p', name),
          os.path.join(data_dir, 'Annotations', '480p', name),
          SOURCE,
      )
      for name in names
  ]
