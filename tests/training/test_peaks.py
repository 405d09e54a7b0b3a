"""The peaks of TPUs are those that JAX knows."""

from jax._src.pallas.mosaic import tpu_info
import pytest

from rvm_jax.training import peaks


@pytest.mark.parametrize(
    'kind', ['TPU v4', 'TPU v5 lite', 'TPU v5p', 'TPU v6 lite', 'TPU7x']
)
def test_peak_of_a_tpu_agrees_with_jax(kind):
  version = tpu_info.chip_version_from_device_kind(kind)
  # A device is a whole chip where its cores can work as one.
  cores = 2 if version.supports_megacore else 1
  core = tpu_info.get_tpu_info_for_chip(version, cores)
  expected = core.bf16_ops_per_second * cores
  assert peaks.find(kind) == pytest.approx(expected, rel=0.01)


def test_peak_of_an_unknown_device_is_none():
  assert peaks.find('cpu') is None
