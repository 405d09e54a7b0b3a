"""VIP, parts of people in videos: its validation videos, in its own folders.

lists/val_videos.txt  Images/ID/*.jpg  Annotations/Category_ids/ID/*.png
"""

import os

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import masked

SOURCE = (
    'VIP is had from'
    ' https://storage.googleapis.com/representations4d/datasets/VIP.zip; see'
    ' docs/datasets/vip.md'
)

CLASSES = (
    'background',
    'hat',
    'hair',
    'sun-glasses',
    'upper-clothes',
    'dress',
    'coat',
    'socks',
    'pants',
    'gloves',
    'scarf',
    'skirt',
    'torso-skin',
    'face',
    'right-arm',
    'left-arm',
    'right-leg',
    'left-leg',
    'right-shoe',
    'left-shoe',
)


def read(data_dir: str) -> list[masked.MaskedVideo]:
  """Lists the validation videos, whose files are not opened yet.

  Args:
    data_dir: the folder VIP. Numbers in its masks are indices of `CLASSES`.

  Raises:
    FileNotFoundError: names the file or folder that is missing.
  """
  names = files.read_lines(
      os.path.join(data_dir, 'lists', 'val_videos.txt'), SOURCE
  )
  return [
      masked.open_folders(
          name,
          os.path.join(data_dir, 'Images', name),
          os.path.join(data_dir, 'Annotations', 'Category_ids', name),
          SOURCE,
      )
      for name in names
  ]
