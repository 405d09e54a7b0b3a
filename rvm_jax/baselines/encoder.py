"""A rival with its weights, which encodes videos of any length."""

from collections.abc import Iterable
import os
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np

from rvm_jax import baselines
from rvm_jax.baselines import features

# Frames that an image model encodes in one call.
_CHUNK = 16


class Name(NamedTuple):
  """What `--checkpoint=FAMILY:PATH` and `FAMILY-fair:PATH` name.

  Attributes:
    family: a key of `features.FAMILIES`.
    variant: 'released' or 'fair'.
    path: path of the weights.
  """

  family: str
  variant: str
  path: str


class Features(NamedTuple):
  """Features of the frames of a video, on the host.

  Attributes:
    patches: float32 [T, h, w, D].
    cls: float32 [T, D]; None for models without CLS.
    state: float32 [0]. A rival carries nothing from one call to the next, and
      this stands where the state of RVM stands.
  """

  patches: np.ndarray
  cls: np.ndarray | None
  state: np.ndarray


class Encoder:
  """Encodes videos with a rival, as `rvm_jax.streaming.Encoder` does with RVM.

  Each size of frames is compiled once.

  Attributes:
    model: module of the rival.
    params: its parameters, on the device.
    variant: 'released' or 'fair'.
    chunk: number of frames that are encoded in one call. For a clip model it is
      the length of a clip.
  """

  def __init__(self, model: nn.Module, params: features.Params, variant: str):
    """Puts the parameters on the device.

    Args:
      model: module of the rival, as returned by `load`.
      params: parameters of the rival, as returned by `load`.
      variant: 'released' or 'fair'.
    """
    self.model, self.variant = model, variant
    self.params = jax.device_put(params)
    self.chunk = features.clip_length(model) or _CHUNK
    self._encode = jax.jit(
        lambda params, frames, is_real: features.encode(
            model, params, frames, is_real, variant
        )
    )

  def __call__(self, video: np.ndarray, state: np.ndarray | None = None):
    """Encodes a video or a part of one.

    A part must begin at a multiple of `chunk` frames, so that it is cut into
    the same clips as the whole video.

    Args:
      video: uint8 [T, H, W, 3], T at least 1.
      state: state after the preceding part. It is ignored.

    Returns:
      The `Features` of all frames.
    """
    del state
    parts = []
    for start in range(0, len(video), self.chunk):
      part = video[start : start + self.chunk]
      fill = (0, self.chunk - len(part)), (0, 0), (0, 0), (0, 0)
      is_real = np.arange(self.chunk) < len(part)
      inputs = np.pad(part, fill, 'edge')[None], is_real[None]
      found = jax.device_get(self._encode(self.params, *inputs))
      parts.append([x if x is None else x[0, : len(part)] for x in found])
    patches, cls = jax.tree.map(lambda *xs: np.concatenate(xs), *parts)
    return Features(patches, cls, np.zeros(0, np.float32))

  def __str__(self) -> str:
    """Returns the name of the model in tables."""
    return features.name(self.model, self.variant)


def parse(checkpoint: str | os.PathLike[str]) -> Name | None:
  """Splits the name of a rival's checkpoint into its parts.

  Args:
    checkpoint: value of `--checkpoint`.

  Returns:
    The parts, or None if the text before the first colon is not a rival's name.
  """
  kind, colon, path = os.fspath(checkpoint).partition(':')
  for family in features.FAMILIES:
    for variant in features.VARIANTS:
      if colon and kind == name_kind(family, variant):
        return Name(family, variant, path)
  return None


def check_name(checkpoint: str | os.PathLike[str], others: Iterable[str] = ()):
  """Raises an error if a checkpoint has an unknown name before its colon.

  Args:
    checkpoint: value of `--checkpoint`.
    others: texts that may stand before the colon, besides the names of rivals.

  Raises:
    FileNotFoundError: the text before the colon is no known name, and nothing
      exists at the text as a whole.
  """
  checkpoint = os.fspath(checkpoint)
  kind, _, rest = checkpoint.partition(':')
  known = list(others)
  for variant in features.VARIANTS:
    known += [name_kind(family, variant) for family in features.FAMILIES]
  # The colon may also be part of a path, as in the URL of a bucket.
  is_path = not rest or '/' in kind or rest.startswith('//')
  if not is_path and kind not in known and not os.path.exists(checkpoint):
    raise FileNotFoundError(
        f'there is nothing at {checkpoint}, and {kind} is none of'
        f' {", ".join(known)}'
    )


def name_kind(family: str, variant: str) -> str:
  """Returns what stands before the colon of a checkpoint's name."""
  return family if variant == 'released' else f'{family}-{variant}'


def load(name: Name) -> tuple[nn.Module, features.Params]:
  """Loads the weights of a rival.

  Args:
    name: what `parse` returns.

  Returns:
    The module and its parameters, on the host.

  Raises:
    FileNotFoundError: there is nothing at the path.
    ModuleNotFoundError: the file is one of PyTorch, which is not installed.
    ValueError: the path is empty, the weights are not those of the named
      family, or they are damaged or incomplete.
  """
  if not name.path:
    kind = name_kind(name.family, name.variant)
    raise ValueError(f'--checkpoint={kind}:PATH needs a path after the colon')
  module, params = baselines.load(name.path)
  if module.family != name.family:
    raise ValueError(
        f'{name.path} has weights of {module.family}, not of {name.family}: use'
        f' --checkpoint={name_kind(module.family, name.variant)}:{name.path}'
    )
  return module, params
