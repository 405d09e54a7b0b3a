"""Searches for the settings with which a step fits into memory.

Three settings decide how much memory a step needs: `config.model.remat`,
`config.fsdp` and `config.num_microbatches`. Each saves memory at the price of
time.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import ml_collections


class Settings(NamedTuple):
  """The settings that are searched.

  Attributes:
    remat: what the backward pass recomputes, `config.model.remat`.
    fsdp: number of devices that the state is split over.
    num_microbatches: number of parts of a batch.
  """

  remat: str
  fsdp: int
  num_microbatches: int

  def __str__(self) -> str:
    return (
        f'--config.model.remat={self.remat} --config.fsdp={self.fsdp}'
        f' --config.num_microbatches={self.num_microbatches}'
    )


class Estimate(NamedTuple):
  """What a step with some settings needs.

  Attributes:
    num_bytes: memory of a device in bytes.
    seconds: least time of a step, which serves only to compare settings.
  """

  num_bytes: int
  seconds: float


def of_config(config: ml_collections.ConfigDict) -> Settings:
  """Returns the settings of a config."""
  return Settings(config.model.remat, config.fsdp, config.num_microbatches)


def apply(
    settings: Settings, config: ml_collections.ConfigDict
) -> ml_collections.ConfigDict:
  """Returns a copy of a config with other settings."""
  config = config.copy_and_resolve_references()
  config.model.remat, config.fsdp, config.num_microbatches = settings
  return config


def list_settings(
    policies: Iterable[str], batch_size: int, num_devices: int, in_slice: int
) -> list[Settings]:
  """Returns all settings that are possible on some devices.

  Args:
    policies: the values of `config.model.remat`.
    batch_size: number of clips in a step.
    num_devices: number of devices, which divides the batch size.
    in_slice: number of devices of one slice or machine. The state is split only
      over devices that the fast network inside of a slice or machine joins.
  """
  rows = batch_size // num_devices
  return [
      Settings(remat, fsdp, parts)
      for remat in policies
      for fsdp in _list_divisors(in_slice)
      for parts in _list_divisors(rows)
  ]


def rank(
    settings: Iterable[Settings],
    estimate: Callable[[Settings], Estimate],
    limit: float,
) -> list[Settings]:
  """Returns the settings that fit into memory, the fastest first.

  Among equally fast ones, those come first that need less memory.

  Args:
    settings: the settings to choose from.
    estimate: function that returns what a step needs.
    limit: bytes of memory that a device has.
  """
  found = [(estimate(x), x) for x in settings]
  fitting = [(e, x) for e, x in found if e.num_bytes <= limit]
  fitting.sort(key=lambda pair: (pair[0].seconds, pair[0].num_bytes))
  return [x for _, x in fitting]


def smallest(
    settings: Iterable[Settings], estimate: Callable[[Settings], Estimate]
) -> tuple[Settings, Estimate]:
  """Returns the settings that need the least memory, and what they need."""
  found = [(x, estimate(x)) for x in settings]
  return min(found, key=lambda pair: pair[1].num_bytes)


def _list_divisors(number: int) -> list[int]:
  """Returns the divisors of a number in ascending order."""
  return [x for x in range(1, number + 1) if number % x == 0]
