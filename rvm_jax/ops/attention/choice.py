"""Chooses the implementation of attention by its sizes and the device."""

import functools
from typing import NamedTuple

from absl import logging
import jax

from rvm_jax.ops.attention import pallas_tpu

# Least number of queries for which a fused kernel is chosen. With fewer queries
# it saves less time by not writing the scores than it needs to start and to
# compute the padding of its blocks.
_FEWEST_QUERIES = 128


class Attention(NamedTuple):
  """The sizes and the dtype of one call of `attend`.

  Attributes:
    num_queries: Q, number of queries of a sequence.
    num_keys: M, number of keys of a sequence.
    num_heads: number of heads.
    head_width: C, number of channels of a head.
    dtype: name of the dtype of queries, keys and values.
  """

  num_queries: int
  num_keys: int
  num_heads: int
  head_width: int
  dtype: str

  def __str__(self) -> str:
    return (
        f'attention of {self.num_queries} queries to {self.num_keys} keys,'
        f' {self.num_heads} heads of {self.head_width}, {self.dtype}'
    )


class Device(NamedTuple):
  """The kind of device that a computation is compiled for.

  Attributes:
    platform: 'cpu', 'gpu' (or 'cuda') or 'tpu'.
    kind: name of the device's kind, such as 'TPU v6 lite'.
  """

  platform: str
  kind: str

  @property
  def is_gpu(self) -> bool:
    """Whether it is a GPU. GPUs are taken to be NVIDIA's."""
    return self.platform in ('gpu', 'cuda')


class Choice(NamedTuple):
  """An implementation, and why it was chosen.

  Attributes:
    name: 'xla', 'cudnn' or 'pallas_tpu'.
    reason: the reason in words, to be read after 'because'.
  """

  name: str
  reason: str


def current_device() -> Device:
  """Returns the kind of device for which the current function is traced.

  If a mesh is set (`jax.set_mesh`), this is the kind of its devices. They may
  be absent from this machine, since programs can be compiled for absent
  devices. Without a mesh, it is the kind of JAX's default device.
  """
  device = jax.sharding.get_abstract_mesh().abstract_device
  if device is not None:
    return Device(device.platform, device.device_kind)
  return Device(jax.default_backend(), jax.devices()[0].device_kind)


def choose(attention: Attention, device: Device) -> Choice:
  """Returns the implementation to use for a call of `attend` on a device.

  'pallas_tpu' and 'cudnn' are chosen where they can run and save memory
  traffic; 'xla' is chosen anywhere else.
  """
  if device.platform == 'tpu':
    obstacle = find_obstacle_tpu(attention, device)
    name = 'pallas_tpu'
  elif device.is_gpu:
    obstacle = find_obstacle_cudnn(attention, device)
    name = 'cudnn'
  else:
    return Choice('xla', f'there is no other one for {device.platform}')
  if obstacle:
    return Choice('xla', obstacle)
  if attention.num_queries < _FEWEST_QUERIES:
    return Choice(
        'xla', f'the scores of fewer than {_FEWEST_QUERIES} queries are small'
    )
  return Choice(name, f'it keeps no scores in the memory of a {device.kind}')


def find_obstacle_cudnn(attention: Attention, device: Device) -> str:
  """Returns why 'cudnn' cannot compute the attention, or '' if it can."""
  if not device.is_gpu:
    return f'cuDNN needs an NVIDIA GPU, and the device is {_describe(device)}'
  if attention.dtype not in ('bfloat16', 'float16'):
    return f'cuDNN needs bfloat16 or float16, not {attention.dtype}'
  width = attention.head_width
  if width > 128 or width % 8:
    return (
        f'cuDNN needs a head width that is a multiple of 8 and at most 128, not'
        f' {width}'
    )
  return ''


def find_obstacle_tpu(attention: Attention, device: Device) -> str:
  """Returns why 'pallas_tpu' cannot compute the attention, or '' if it can."""
  if device.platform != 'tpu':
    return f'the kernel needs a TPU, and the device is {_describe(device)}'
  if attention.dtype not in ('bfloat16', 'float32'):
    return f'the kernel takes bfloat16 and float32, not {attention.dtype}'
  if attention.head_width % 8:
    return (
        'the kernel needs a head width that is a multiple of 8, not'
        f' {attention.head_width}'
    )
  sizes = (
      attention.num_queries,
      attention.num_keys,
      attention.num_heads * attention.head_width,
      attention.head_width,
  )
  if (scores := pallas_tpu.count_scores(*sizes)) > pallas_tpu.MAX_SCORES:
    return (
        f'the kernel would compute {scores} scores in a step of its grid, more'
        f' than {pallas_tpu.MAX_SCORES}, and take minutes to compile'
    )
  need = pallas_tpu.count_bytes(
      *sizes, 2 if attention.dtype == 'bfloat16' else 4
  )
  most = pallas_tpu.vmem_bytes(device.kind)
  if need > most:
    return (
        f'the kernel would need {need / 2**20:.0f} MiB of VMEM, and may use at'
        f' most {most / 2**20:.0f} on a {device.kind}'
    )
  return ''


@functools.cache
def report(attention: Attention, choice: Choice) -> None:
  """Logs a choice, once in a process for the same sizes, dtype and choice."""
  logging.info('%s: %s, because %s', attention, choice.name, choice.reason)


def _describe(device):
  """Returns the words for a device, such as 'tpu (TPU v6 lite)'."""
  if device.kind == device.platform:
    return device.platform
  return f'{device.platform} ({device.kind})'
