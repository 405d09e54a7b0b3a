"""VIP: the validation videos, with masks of people's body parts and clothes.

The folder is the one that the authors of RVM publish:

  lists/val_videos.txt
  Images/NAME/*.jpg
  Annotations/Category_ids/NAME/*.png
"""

from rvm_jax.evals.datasets import masked

SOURCE = (
    'Download VIP from'
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
  """Lists the validation videos. No image is read yet.

  Args:
    data_dir: the folder VIP.

  Returns:
    The videos. Each pixel of a mask is an index into `CLASSES`, or 255 where
    there is no label.

  Raises:
    FileNotFoundError: a file or folder is missing; the error names it.
  """
  return masked.list_videos(
      data_dir,
      names='lists/val_videos.txt',
      frames='Images',
      masks='Annotations/Category_ids',
      source=SOURCE,
  )
