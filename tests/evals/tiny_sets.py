"""Small data sets of three videos each, in the layouts of the real ones.

Every object and joint fills patches of 8 x 8 pixels with a colour of its own,
so that raw pixels are features by which labels can be propagated.
"""

import pathlib

import numpy as np
from PIL import Image
from scipy import io

from rvm_jax.evals.datasets import jhmdb

HEIGHT, WIDTH, SIDE = 48, 64, 8
NUM_FRAMES = 6
# Colours of the background, 0, and of objects and joints by their number, up to
# 18. None is grey: features of unit length do not tell shades of grey apart.
COLORS = (
    np.random.default_rng(0)
    .permutation(
        [
            (r, g, b)
            for r in (20, 130, 240)
            for g in (20, 130, 240)
            for b in (20, 130, 240)
            if not r == g == b
        ]
    )
    .astype(np.uint8)
)
# For each video its objects, and for each object the row and column of its
# patch in every frame, None where it is out of sight. The second object of the
# first video disappears, and the second one of the last video appears later.
DAVIS = {
    'bear': [
        [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)],
        [(4, 6), (4, 7), (3, 7), None, None, None],
    ],
    'goat': [[(3, 3)] * 6],
    'pigs': [
        [(2, 7), (2, 6), (2, 5), (2, 4), (2, 3), (2, 2)],
        [None, None, (5, 0), (5, 1), (5, 2), (5, 3)],
    ],
}


def make_masks(tracks) -> np.ndarray:
  """Makes masks of objects, numbered from 1.

  Args:
    tracks: for each object (row, column) of its patch in every frame, or None.

  Returns:
    uint8 [NUM_FRAMES, HEIGHT, WIDTH].
  """
  masks = np.zeros((NUM_FRAMES, HEIGHT, WIDTH), np.uint8)
  for number, track in enumerate(tracks, 1):
    for frame, place in enumerate(track):
      if place:
        y, x = SIDE * place[0], SIDE * place[1]
        masks[frame, y : y + SIDE, x : x + SIDE] = number
  return masks


def save(path: pathlib.Path, image: np.ndarray):
  """Writes an image file.

  Args:
    path: path with a suffix that gives the format.
    image: uint8 [H, W], written with a palette, or uint8 RGB [H, W, 3].
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  picture = Image.fromarray(image)
  if image.ndim == 2:
    picture.putpalette(COLORS.tobytes())
  picture.save(path, quality=95, subsampling=0)


def write_davis(root: pathlib.Path) -> dict[str, np.ndarray]:
  """Writes a folder like DAVIS; returns name -> masks of its videos."""
  masks = {name: make_masks(tracks) for name, tracks in DAVIS.items()}
  names = root / 'ImageSets' / '2017'
  names.mkdir(parents=True)
  (names / 'val.txt').write_text('\n'.join(masks) + '\n')
  _write_videos(root / 'JPEGImages/480p', root / 'Annotations/480p', masks)
  return masks


def write_vip(root: pathlib.Path) -> dict[str, np.ndarray]:
  """Writes a folder like VIP; returns name -> masks of its videos."""
  masks = {f'videos{i}': make_masks(t) for i, t in enumerate(DAVIS.values())}
  # A scarf (9) in all frames, and a right shoe (18) in some.
  masks['videos2'] *= 9
  (root / 'lists').mkdir(parents=True)
  (root / 'lists/val_videos.txt').write_text('\n'.join(masks))
  _write_videos(root / 'Images', root / 'Annotations/Category_ids', masks)
  return masks


def write_jhmdb(root: pathlib.Path) -> dict[str, np.ndarray]:
  """Writes a folder like jhmdb; returns name -> poses of its test videos."""
  lists = {
      'brush_hair': [('first_hair_0', 2), ('for_training', 1)],
      'jump': [('second jump (1)', 2), ('third', 2), ('neither', 0)],
  }
  (root / 'splits').mkdir(parents=True)
  poses = {}
  for kind, videos in lists.items():
    lines = [f'{name}.avi {flag} \n' for name, flag in videos]
    (root / f'splits/{kind}_test_split1.txt').write_text(''.join(lines))
    (root / f'splits/{kind}_test_split2.txt').write_text('other.avi 2\n')
    for name in (name for name, flag in videos if flag == 2):
      poses[name] = _write_person(root, kind, name, len(poses))
  return poses


def _write_videos(frame_folder, mask_folder, masks):
  """Writes videos, and their masks, into folders of their names."""
  for name, numbers in masks.items():
    for i, mask in enumerate(numbers):
      save(frame_folder / name / f'{i:05d}.jpg', COLORS[mask])
      save(mask_folder / name / f'{i:05d}.png', mask)


def _write_person(root, kind, name, seed):
  """Writes a video in which joints jump to other patches; returns its poses."""
  rng = np.random.default_rng(seed)
  num_joints = len(jhmdb.JOINTS)
  # No joint is in the first two rows and columns, because the protocol's
  # rounding shifts the bump of such a joint to other patches.
  y, x = np.mgrid[2 : HEIGHT // SIDE, 2 : WIDTH // SIDE].reshape(2, -1)
  poses = np.empty((NUM_FRAMES, num_joints, 2))
  for frame in range(NUM_FRAMES):
    places = rng.choice(len(x), num_joints, replace=False)
    patches = np.zeros((HEIGHT // SIDE, WIDTH // SIDE), np.uint8)
    patches[y[places], x[places]] = 1 + np.arange(num_joints)
    image = COLORS[np.kron(patches, np.ones((SIDE, SIDE), np.uint8))]
    save(root / 'Rename_Images' / kind / name / f'{frame + 1:05d}.png', image)
    poses[frame] = SIDE * np.stack([x[places], y[places]], -1)
  folder = root / 'joint_positions' / kind / name
  folder.mkdir(parents=True)
  io.savemat(
      folder / 'joint_positions.mat', {'pos_img': poses.transpose(2, 1, 0) + 1}
  )
  return poses
