"""DAVIS-2017 at 480p: the validation videos, with the masks of their objects.

The folder is the one that the authors publish:

  ImageSets/2017/val.txt
  JPEGImages/480p/NAME/*.jpg
  Annotations/480p/NAME/*.png
"""

import os

from rvm_jax.evals.datasets import davis_prepared
from rvm_jax.evals.datasets import masked

SOURCE = (
    'Download DAVIS-2017 (TrainVal, 480p) from https://davischallenge.org; see'
    ' docs/datasets/davis.md'
)


def read(data_dir: str) -> list[masked.MaskedVideo]:
  """Lists the validation videos. No image is read yet.

  Args:
    data_dir: the folder DAVIS, or the folder davis/480p/2.1.0 that
      tensorflow-datasets writes, see `davis_prepared`.

  Returns:
    The videos. Each pixel of a mask is the number of an object, 0 for the
    background or 255 for void.

  Raises:
    FileNotFoundError: a file or folder is missing; the error names it.
    ImportError: the folder is from tensorflow-datasets, which is not installed.
    ValueError: the folder is from tensorflow-datasets and holds another data
      set or version, or a file that is cut off.
  """
  if os.path.isfile(os.path.join(data_dir, 'dataset_info.json')):
    return davis_prepared.read(data_dir)
  return masked.list_videos(
      data_dir,
      names='ImageSets/2017/val.txt',
      frames='JPEGImages/480p',
      masks='Annotations/480p',
      source=SOURCE,
  )
