"""Maps of a video's features: what patches have in common, what changes.

Components and clusters as in the figures of the RVM paper: fitted to all
patches of all frames of one video together, features as they are.
"""

import itertools

import numpy as np
from sklearn import cluster
from sklearn import decomposition

from rvm_jax.ops import patches as patches_lib

NUM_COMPONENTS = 3
NUM_CLUSTERS = 5


def find_components(features: np.ndarray) -> np.ndarray:
  """The three directions along which features differ most, as colours.

  Whitened principal components, each stretched to [0, 1] over the video.

  Args:
    features: float [T, h, w, D].

  Returns:
    float32 [T, h, w, 3] in [0, 1].

  Raises:
    ValueError: fewer than three patches or three channels.
  """
  tokens = _tokens(features, NUM_COMPONENTS)
  # Centred here: the solver would subtract large products, in float32.
  tokens = tokens - tokens.mean(0, dtype=np.float64).astype(np.float32)
  pca = decomposition.PCA(
      NUM_COMPONENTS, whiten=True, svd_solver='covariance_eigh'
  )
  found = pca.fit_transform(tokens)
  low, high = found.min(0), found.max(0)
  found = (found - low) / (high - low + 1e-8)
  return found.reshape(*features.shape[:-1], NUM_COMPONENTS)


def find_clusters(features: np.ndarray, seed: int = 0) -> np.ndarray:
  """Five groups of similar features: k-means, begun by k-means++.

  Args:
    features: float [T, h, w, D].
    seed: of the first centres.

  Returns:
    int [T, h, w], 0 to 4; 0 is the largest group.

  Raises:
    ValueError: fewer than five patches.
  """
  tokens = _tokens(features, NUM_CLUSTERS)
  kmeans = cluster.KMeans(
      NUM_CLUSTERS, init='k-means++', n_init=1, random_state=seed
  )
  labels = kmeans.fit_predict(tokens)
  sizes = np.bincount(labels, minlength=NUM_CLUSTERS)
  ranks = np.argsort(np.argsort(-sizes, kind='stable'))
  return ranks[labels].reshape(features.shape[:-1])


def state_change(features: np.ndarray) -> np.ndarray:
  """How far each patch's state moved since the frame before.

  Args:
    features: float [T, h, w, D], the states.

  Returns:
    float [T - 1, h, w], |s_t - s_{t-1}| / |s_{t-1}|.
  """
  length = lambda x: np.linalg.norm(x, axis=-1)
  return np.stack(
      [
          length(after - before) / np.maximum(length(before), 1e-8)
          for before, after in itertools.pairwise(features)
      ]
  )


def pixel_change(frames: np.ndarray, patch: int) -> np.ndarray:
  """How much each patch's pixels changed since the frame before.

  Args:
    frames: uint8 [T, H, W, 3].
    patch: side of a patch in pixels.

  Returns:
    float [T - 1, h, w], root of the mean squared difference, 0 to 1.
  """
  changes = []
  for before, after in itertools.pairwise(frames):
    square = np.square((np.float32(after) - before) / 255)
    mean = patches_lib.patchify(square, patch).mean(-1)
    changes.append(np.sqrt(mean))
  grid = patches_lib.grid(*frames.shape[1:3], patch)
  return np.stack(changes).reshape(-1, *grid)


def _tokens(features, least):
  tokens = features.reshape(-1, features.shape[-1])
  if min(tokens.shape) < least:
    raise ValueError(
        f'expected at least {least} patches in the video and {least} channels,'
        f' got features of shape {features.shape}'
    )
  return tokens
