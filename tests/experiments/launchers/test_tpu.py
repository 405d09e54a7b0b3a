"""TPU slices: hosts and devices of a topology."""

import pytest

from experiments.launchers import tpu


@pytest.mark.parametrize(
    'text, hosts, devices_per_host, size',
    [
        ('v5e:1x1', 1, 1, 'v5litepod-1'),
        ('v5e:2x2', 1, 4, 'v5litepod-4'),
        ('v5e:4x4', 4, 4, 'v5litepod-16'),
        ('v6e:16x16', 64, 4, 'v6e-256'),
        ('v5p:2x2x1', 1, 4, 'v5p-8'),
        ('v5p:4x4x8', 32, 4, 'v5p-256'),
        ('v4:2x2x4', 4, 4, 'v4-32'),
        ('tpu7x:4x4x4', 16, 8, 'tpu7x-128'),
    ],
)
def test_parse_knows_hosts_and_devices(text, hosts, devices_per_host, size):
  found = tpu.parse(text)
  assert (found.hosts, found.devices_per_host) == (hosts, devices_per_host)
  assert found.size == size


@pytest.mark.parametrize(
    'text',
    ['v5e', 'v5e:', '4x4', 'v5e:4x4x4', 'v5e:32x32', 'v5p:4x4', 'v5p:0x4x4']
    + ['v5p:4x4x6', 'v5p:8x4x4', 'v5p:24x24x24', 'v5p:4x-4x-4', 'v5p:axbxc'],
)
def test_parse_refuses_slices_that_do_not_exist(text):
  with pytest.raises(ValueError, match=f'--topology={text}'):
    tpu.parse(text)
