"""Maps of a video's features: components, clusters and changes over time.

Components and clusters are computed as in the figures of the RVM paper (the
released evaluation notebook): from all patches of all frames of one video
together, without normalising the features. For models with `content_first`,
which the paper does not have, callers first subtract the mean of each frame
(`center_frames`).
"""

import itertools
from typing import NamedTuple

import numpy as np
from sklearn import cluster
from sklearn import decomposition

from rvm_jax.ops import patches as patches_lib

NUM_COMPONENTS = 3
NUM_CLUSTERS = 5


class Basis(NamedTuple):
  """Three principal components that turn features into colours.

  Attributes:
    mean: mean of the features, float32 [D].
    directions: whitened components, float32 [D, 3]. The features that they were
      fitted to have variance 1 along each of them.
    low: value along each component that becomes 0, float32 [3]: the least one
      of the fitted features.
    high: value along each component that becomes 1, float32 [3]: the greatest
      one of the fitted features.
  """

  mean: np.ndarray
  directions: np.ndarray
  low: np.ndarray
  high: np.ndarray


def center_frames(features: np.ndarray) -> np.ndarray:
  """Subtracts the mean of each frame from its features.

  In models with `content_first`, what all patches of a frame have in common
  differs from frame to frame, most of all in the first one. Without this
  subtraction, components would mainly show that difference.

  Args:
    features: float [..., h, w, D], features of frames.

  Returns:
    float [..., h, w, D].
  """
  return features - features.mean((-3, -2), keepdims=True)


def find_components(features: np.ndarray) -> np.ndarray:
  """Computes the first three principal components of features, as colours.

  Components are whitened, then each is stretched to [0, 1] over the video.

  Args:
    features: float [T, h, w, D].

  Returns:
    float32 [T, h, w, 3] in [0, 1].

  Raises:
    ValueError: there are fewer than three patches or three channels.
  """
  return apply_basis(features, fit_basis(features))


def fit_basis(features: np.ndarray, previous: Basis | None = None) -> Basis:
  """Fits the first three principal components to features.

  Args:
    features: float [T, h, w, D].
    previous: components that were fitted before, or None. The sign of a
      component is arbitrary. It is chosen to agree with `previous`, so that
      colours change little; with None it is the solver's.

  Returns:
    The components.

  Raises:
    ValueError: there are fewer than three patches or three channels.
  """
  tokens = _tokens(features, NUM_COMPONENTS)
  # The solver multiplies the features in float32 and subtracts the mean only
  # then. States lie far from zero, so that this would lose precision. They are
  # therefore centred before.
  mean = tokens.mean(0, dtype=np.float64).astype(np.float32)
  tokens = tokens - mean
  pca = decomposition.PCA(NUM_COMPONENTS, svd_solver='covariance_eigh')
  pca.fit(tokens)
  # The lower bound keeps the division finite where features do not vary.
  variances = np.maximum(pca.explained_variance_, np.finfo(np.float32).eps)
  directions = pca.components_.T / np.sqrt(variances)  # [D, 3]
  if previous is not None:
    agreement = (directions * previous.directions).sum(0)
    directions = np.where(agreement < 0, -directions, directions)
  directions = directions.astype(np.float32)
  components = tokens @ directions
  return Basis(mean, directions, components.min(0), components.max(0))


def apply_basis(features: np.ndarray, basis: Basis) -> np.ndarray:
  """Colours features by components that were fitted to them or to others.

  Args:
    features: float [..., D].
    basis: components, as returned by `fit_basis`.

  Returns:
    float32 [..., 3]; values beyond the range of the fitted features are clipped
    to [0, 1].
  """
  components = (features - basis.mean) @ basis.directions
  spread = basis.high - basis.low + 1e-8
  return np.clip((components - basis.low) / spread, 0, 1, dtype=np.float32)


def find_clusters(features: np.ndarray, seed: int = 0) -> np.ndarray:
  """Groups patches into five clusters by k-means with k-means++ initialisation.

  Args:
    features: float [T, h, w, D].
    seed: seed for the initial centres.

  Returns:
    Cluster of each patch, int [T, h, w], 0 to 4, numbered from the largest
    cluster to the smallest.

  Raises:
    ValueError: there are fewer than five patches or five channels.
  """
  tokens = _tokens(features, NUM_CLUSTERS)
  kmeans = cluster.KMeans(
      NUM_CLUSTERS, init='k-means++', n_init=1, random_state=seed
  )
  labels = kmeans.fit_predict(tokens)
  # Renumber the clusters by size: ranks[label] is the new number.
  sizes = np.bincount(labels, minlength=NUM_CLUSTERS)
  ranks = np.argsort(np.argsort(-sizes, kind='stable'))
  return ranks[labels].reshape(features.shape[:-1])


def state_change(features: np.ndarray) -> np.ndarray:
  """Computes how far each patch's state moved since the previous frame.

  Args:
    features: states after each frame, float [T, h, w, D].

  Returns:
    |s_t - s_{t-1}| / |s_{t-1}| from the second frame on, float [T - 1, h, w].
  """
  changes = []
  for before, after in itertools.pairwise(features):
    distance = np.linalg.norm(after - before, axis=-1)
    length = np.linalg.norm(before, axis=-1)
    changes.append(distance / np.maximum(length, 1e-8))
  return np.stack(changes)


def pixel_change(frames: np.ndarray, patch: int) -> np.ndarray:
  """Computes how much each patch's pixels changed since the previous frame.

  Args:
    frames: uint8 [T, H, W, 3].
    patch: side of a patch in pixels.

  Returns:
    Root mean squared difference from the second frame on, float [T - 1, h, w]
    in [0, 1]; black turning white is 1.
  """
  changes = []
  for before, after in itertools.pairwise(frames):
    square = np.square((np.float32(after) - before) / 255)
    mean = patches_lib.patchify(square, patch).mean(-1)
    changes.append(np.sqrt(mean))
  grid = patches_lib.grid(*frames.shape[1:3], patch)
  return np.stack(changes).reshape(-1, *grid)


def _tokens(features, least):
  """Flattens features to [T * h * w, D], and checks both sizes.

  Args:
    features: float [T, h, w, D].
    least: least number of patches, and of channels.

  Raises:
    ValueError: there are fewer patches or channels.
  """
  tokens = features.reshape(-1, features.shape[-1])
  if min(tokens.shape) < least:
    raise ValueError(
        f'expected at least {least} patches in the video and {least} channels,'
        f' got features of shape {features.shape}'
    )
  return tokens
