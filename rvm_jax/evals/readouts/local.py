"""Small heads that ask with features: for small encoders and few examples.

The paper's point and box readouts ask with coordinates alone. The encoder must
have written down where each thing came from, and the readout must learn to find
it, in 40,000 steps of 32 examples. These heads are ours. They ask with the
features at a thing's place in frame 0, look for similar ones in every frame,
and learn only what to make of that: a few hundred steps, and what they find
depends on whether the features of one thing agree over time. Depth is read
where it is.

`apply`, `loss` and `decode` are as for the heads in the other files, and so are
the outputs. Patches must make a square.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.evals.readouts import boxes
from rvm_jax.evals.readouts import classification
from rvm_jax.evals.readouts import depth
from rvm_jax.evals.readouts import matches
from rvm_jax.evals.readouts import points
from rvm_jax.evals.readouts import pose

# A camera that stays: rotation, row by row, and translation.
_STILL = np.array([[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]], np.float32)
_CERTAIN = 10.0  # A logit.
_LAG = 3  # Frames from which to which patches are followed.
_POOL = 4  # Rows and columns that motion is averaged over.
_LOG_DEPTH = 1.4  # At first, all is 4 metres away.


class _Like:
  """Losses and answers are those of another head with the same outputs."""

  @property
  def truths(self):
    return self._like().truths

  def loss(self, outputs, batch):
    return self._like().loss(outputs, batch)

  def decode(self, outputs, batch):
    return self._like().decode(outputs, batch)


class PointsHead(_Like, nn.Module):
  """Points that are looked for; at first, they stay where they were asked for.

  Always certain: on coarse patches a point is hardly ever right to 6 pixels of
  256, and what is not certain would count as hidden.

  Attributes:
    width: of the MLP.
    size: height and width of the frames, in pixels.
  """

  width: int
  size: int

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Logits [B, P, T, 4], see `points.PointsHead`."""
    place = jnp.where(
        batch['is_valid'][..., None], batch['tracks'][:, :, 0] / self.size, 0
    )
    asked = matches.share_points(place, features.shape[2])
    cues = matches.Matches(name='matches')(features, asked)
    found = Answers(self.width, 3, name='answers')(cues, place)
    inside = jnp.clip(place, 0.005, 0.995)
    start = jnp.log(inside / (1 - inside))[:, :, None]
    visible = found[..., 2:] + 2
    return jnp.concatenate(
        [found[..., :2] + start, visible, jnp.full_like(visible, _CERTAIN)], -1
    )

  def decode(self, outputs, batch):
    """As `points.PointsHead`; and 'chance' [B, P, T], of being visible."""
    chance = jax.nn.sigmoid(outputs[..., 2])
    return super().decode(outputs, batch) | {'chance': chance}

  def _like(self):
    return points.PointsHead(1, 1, self.size, self.size, 1, 1, 1, parent=None)


class BoxesHead(_Like, nn.Module):
  """Boxes that are looked for; at first, they stay where they were asked for.

  Attributes:
    width: of the MLP.
    size: height and width of the frames, in pixels.
  """

  width: int
  size: int

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Boxes [B, O, T, 4] as shares of the frame, see `boxes.BoxesHead`."""
    box = batch['boxes'][:, :, 0]
    is_box = (box[..., 2:] > box[..., :2]).all(-1, keepdims=True)
    box = jnp.where(is_box, box / self.size, 0)
    cues = matches.Matches(name='matches')(
        features, matches.share_boxes(box, features.shape[2])
    )
    return box[:, :, None] + Answers(self.width, 4, name='answers')(cues, box)

  def _like(self):
    return boxes.BoxesHead(1, 1, self.size, self.size, 1, 1, parent=None)


class ClassificationHead(_Like, nn.Module):
  """Classes of motion, read off where patches went.

  Attributes:
    num_classes: K.
    width: of the MLP.
  """

  num_classes: int
  width: int

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Logits [B, K]; asks nothing."""
    del batch
    x = Flow(name='flow')(features)
    hidden = nn.gelu(nn.Dense(self.width, name='dense_in')(x), approximate=True)
    return nn.Dense(
        self.num_classes, kernel_init=nn.initializers.zeros, name='dense_out'
    )(jnp.concatenate([x, hidden], -1))

  def _like(self):
    return classification.ClassificationHead(
        self.num_classes, 1, 1, parent=None
    )


class PoseHead(_Like, nn.Module):
  """The camera's motion, read off where patches went; none at first.

  Linear: an MLP fits a few hundred clips better than others.
  """

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Rotation and translation [B, 12]; asks nothing."""
    del batch
    return _STILL + nn.Dense(
        12, kernel_init=nn.initializers.zeros, name='dense_out'
    )(Flow(name='flow')(features))

  def _like(self):
    return pose.PoseHead(1, 1, parent=None)


class DepthHead(_Like, nn.Module):
  """Each patch's own features, its place and an MLP paint its pixels' depth.

  Attributes:
    width: of the MLP.
    size: height and width of the frames, in pixels.
  """

  width: int
  size: int

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Logarithms of metres [B, T, H, W]; asks nothing."""
    del batch
    size, num_frames, num_patches, _ = features.shape
    side = round(num_patches**0.5)
    patch = self.size // side
    x = nn.LayerNorm(name='norm')(features.astype(jnp.float32))
    place = self.param(
        'place', nn.initializers.normal(0.02), (num_patches, self.width)
    )
    x = nn.Dense(self.width, name='dense_in')(x) + place[None, None]
    x = nn.Dense(patch * patch, name='dense_out')(nn.gelu(x, approximate=True))
    typical = self.param(
        'typical', nn.initializers.constant(_LOG_DEPTH), (num_patches, 1)
    )
    x = (x + typical[None, None]).reshape(
        size, num_frames, side, side, patch, patch
    )
    return x.swapaxes(3, 4).reshape(size, num_frames, self.size, self.size)

  def _like(self):
    return depth.DepthHead(
        1, 1, self.size, self.size, (1, 1, 1), None, parent=None
    )


class Answers(nn.Module):
  """An MLP over all that is known of a query; its answers are 0 at first.

  Attributes:
    width: of the hidden layers.
    num_answers: K, for each frame.
  """

  width: int
  num_answers: int

  @nn.compact
  def __call__(self, cues: jax.Array, place: jax.Array) -> jax.Array:
    """Cues [B, Q, T, 6] and what was asked [B, Q, E] to [B, Q, T, K]."""
    x = cues.reshape(*cues.shape[:2], -1)
    x = jnp.concatenate([10 * x, 4 * place - 2], -1)
    for name in ('dense_in', 'dense_middle'):
      x = nn.gelu(nn.Dense(self.width, name=name)(x), approximate=True)
    x = nn.Dense(
        cues.shape[2] * self.num_answers,
        kernel_init=nn.initializers.zeros,
        name='dense_out',
    )(x)
    return x.reshape(*cues.shape[:3], self.num_answers)


class Flow(nn.Module):
  """Where patches went within a few frames: [B, F], to be read by a few layers.

  Moves are averaged over a grid of 4 x 4 and mixed over time in two ways.
  """

  @nn.compact
  def __call__(self, features: jax.Array) -> jax.Array:
    size, num_frames, num_patches, channels = features.shape
    lag = min(_LAG, num_frames - 1)
    pairs = jnp.stack([features[:, :-lag], features[:, lag:]], 2)
    pairs = pairs.reshape(-1, 2, num_patches, channels)
    asked = jnp.broadcast_to(
        jnp.eye(num_patches), (len(pairs), num_patches, num_patches)
    )
    moves = matches.Matches(name='matches')(pairs, asked)[:, :, 1, :2]
    side = round(num_patches**0.5)
    moves = jax.image.resize(
        moves.reshape(len(pairs), side, side, 2),
        (len(pairs), _POOL, _POOL, 2), 'linear',
    ).reshape(size, num_frames - lag, -1)
    mixed = nn.Dense(
        2, use_bias=False, kernel_init=nn.initializers.ones, name='times'
    )(moves.swapaxes(1, 2))
    return 20 / (num_frames - lag) * mixed.reshape(size, -1)
