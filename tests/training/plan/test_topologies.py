"""Topologies are found by their names, and wrong names are explained."""

import importlib.metadata
import math

import pytest

from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import peaks
from rvm_jax.training.plan import chips
from rvm_jax.training.plan import topologies


@pytest.mark.parametrize(
    'name, num_devices, num_hosts',
    [
        ('v6e:16x16', 256, 64),
        ('2xv6e:16x16', 512, 128),
        ('v5p:4x4x8', 128, 32),
        ('v5e:1x1', 1, 1),
        ('h100:8', 8, 1),
        ('2xh100:8', 16, 2),
        ('h100:1', 1, 1),
        # Each slice and each machine has a host of its own.
        ('4xv6e:1x1', 4, 4),
        ('2xh100:2', 4, 2),
    ],
)
def test_find_counts_devices_and_hosts(name, num_devices, num_hosts):
  topology = topologies.find(name)
  assert topology.num_devices == num_devices
  assert topology.num_hosts == num_hosts


@pytest.mark.parametrize(
    'name, hints',
    [
        ('v6e:16x17', ['16x17 is no slice of v6e', '16x16']),
        ('v6e:4x2', ['near: 2x4']),
        ('v5p:4x4', ['near: 2x2x4']),
        ('h100:7', ['near: 8']),
        ('v7:2x2', ['unknown chip', 'v5e, v5p, v6e, h100']),
        ('v6e', ['CHIP:SHAPE']),
        ('v6e:16*16', ['CHIP:SHAPE']),
        ('0xv6e:2x2', ['1 to 64 slices']),
        ('v6e:0x2', ['no slice']),
    ],
)
def test_wrong_name_lists_what_is_near(name, hints):
  with pytest.raises(ValueError) as caught:
    topologies.find(name)
  for hint in hints:
    assert hint in str(caught.value)


@pytest.mark.parametrize('name', chips.CHIPS)
def test_every_chip_has_a_peak_and_can_be_found(name):
  chip = chips.CHIPS[name]
  assert chip.peak == peaks.find(chip.kind)
  for shape in chip.shapes:
    topology = topologies.find(f'{name}:{"x".join(map(str, shape))}')
    assert topology.num_devices == math.prod(shape)


@pytest.mark.parametrize('name, cores', [('v5e', 1), ('v5p', 2)])
def test_clock_of_a_tpu_agrees_with_its_peak(name, cores):
  chip = chips.CHIPS[name]
  flops = cores * 4 * 128**2 * 2 * chip.clock
  assert flops == pytest.approx(chip.peak, rel=0.01)


def test_missing_compiler_is_named(monkeypatch):
  def fail(name):
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, 'version', fail)
  with pytest.raises(topologies.CompilerMissing) as caught:
    topologies.devices(topologies.find('v6e:2x2'))
  assert 'tpu-plan' in str(caught.value) and '--formula' in str(caught.value)
  assert topologies.versions(topologies.find('v6e:2x2')) == {}


def test_compiler_of_another_version_is_refused(monkeypatch):
  monkeypatch.setattr(importlib.metadata, 'version', lambda name: '0.0.41.9')
  monkeypatch.setattr(
      importlib.metadata,
      'requires',
      lambda name: ['numpy', 'libtpu==0.0.4.*; extra == "tpu"'],
  )
  with pytest.raises(topologies.CompilerMissing) as caught:
    topologies.devices(topologies.find('v6e:2x2'))
  assert '0.0.41.9' in str(caught.value) and '0.0.4.*' in str(caught.value)


@pytest.mark.parametrize(
    'name, fsdp', [('v6e:16x16', 8), ('2xv6e:2x4', 4), ('v6e:1x1', 1)]
)
def test_mesh_of_absent_devices_keeps_fsdp_in_a_slice(name, fsdp):
  pytest.importorskip('libtpu', reason='needs the extra tpu-plan')
  topology = topologies.find(name)
  devices = topologies.devices(topology)
  assert len(devices) == topology.num_devices
  assert {x.device_kind for x in devices} == {topology.chip.kind}
  mesh = mesh_lib.make_mesh(fsdp, list(devices))
  assert mesh.devices.shape == (len(devices) // fsdp, fsdp)
  for row in mesh.devices:
    assert len({getattr(x, 'slice_index', 0) for x in row}) == 1
