"""Data sets of three small videos, written in the folders of the real ones.

Patches of one flat colour, 8 x 8 pixels, so that raw pixels can follow them.
"""

import pathlib

import numpy as np
from PIL import Image
from scipy import io

from rvm_jax.evals.datasets import jhmdb

HEIGHT, WIDTH, SIDE = 48, 64, 8
NUM_FRAMES = 6
# Sixteen hues and more, as features of unit length do not tell shades apart.
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
# The first video's second object leaves; the last one's comes later.
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
  """Numbers 1, 2, ... where the tracks' patches (row, column) are."""
  masks = np.zeros((NUM_FRAMES, HEIGHT, WIDTH), np.uint8)
  for number, track in enumerate(tracks, 1):
    for frame, place in enumerate(track):
      if place:
        y, x = SIDE * place[0], SIDE * place[1]
        masks[frame, y : y + SIDE, x : x + SIDE] = number
  return masks


def save(path: pathlib.Path, image: np.ndarray):
  """Numbers become a palette PNG, colours a JPEG or PNG."""
  path.parent.mkdir(parents=True, exist_ok=True)
  picture = Image.fromarray(image)
  if image.ndim == 2:
    picture.putpalette(COLORS.tobytes())
  picture.save(path, quality=95, subsampling=0)


def write_davis(root: pathlib.Path) -> dict[str, np.ndarray]:
  """Writes the folder DAVIS; returns the masks of its videos."""
  masks = {name: make_masks(tracks) for name, tracks in DAVIS.items()}
  names = root / 'ImageSets' / '2017'
  names.mkdir(parents=True)
  (names / 'val.txt').write_text('\n'.join(masks) + '\n')
  for name, of_video in masks.items():
    _write_video(
        root / 'JPEGImages/480p' / name,
        root / 'Annotations/480p' / name,
        of_video,
    )
  return masks


def write_vip(root: pathlib.Path) -> dict[str, np.ndarray]:
  """Writes the folder VIP; returns the masks of its videos."""
  masks = {f'videos{i}': make_masks(t) for i, t in enumerate(DAVIS.values())}
  masks['videos2'] *= 9  # Scarf and, for a while, right shoe.
  (root / 'lists').mkdir(parents=True)
  (root / 'lists/val_videos.txt').write_text('\n'.join(masks))
  for name, of_video in masks.items():
    _write_video(
        root / 'Images' / name,
        root / 'Annotations/Category_ids' / name,
        of_video,
    )
  return masks


def write_jhmdb(root: pathlib.Path) -> dict[str, np.ndarray]:
  """Writes the folder jhmdb; returns the poses of its test videos."""
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


def _write_video(frames, masks, numbers):
  for i, mask in enumerate(numbers):
    save(frames / f'{i:05d}.jpg', COLORS[mask])
    save(masks / f'{i:05d}.png', mask)


def _write_person(root, kind, name, seed):
  """Fifteen patches that jump about, each of its own colour."""
  rng = np.random.default_rng(seed)
  num_joints = len(jhmdb.JOINTS)
  # In the first two rows and columns the protocol puts a bump beside its joint.
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
