"""Which implementation is chosen for which attention and device, and why."""

import jax
import pytest

from rvm_jax.ops.attention import choice

V6E = choice.Device('tpu', 'TPU v6 lite')
V4 = choice.Device('tpu', 'TPU v4')
V5P = choice.Device('tpu', 'TPU v5')
H100 = choice.Device('cuda', 'NVIDIA H100 80GB HBM3')
CPU = choice.Device('cpu', 'cpu')
ENCODER = choice.Attention(257, 257, 6, 64, 'bfloat16')


@pytest.mark.parametrize(
    'device, changes, name, reason',
    [
        (V6E, {}, 'pallas_tpu', 'no scores in the memory of a TPU v6 lite'),
        (V5P, {}, 'pallas_tpu', 'no scores'),
        (V6E, {'dtype': 'float32'}, 'pallas_tpu', 'no scores'),
        (V6E, {'dtype': 'float16'}, 'xla', 'bfloat16 and float32, not float16'),
        (V6E, {'num_queries': 13, 'num_keys': 13}, 'xla', 'fewer than 128'),
        (V6E, {'num_queries': 1651, 'num_keys': 1651}, 'pallas_tpu', 'no sc'),
        (V6E, {'num_queries': 8000, 'num_keys': 8000}, 'xla', 'scores in a st'),
        (
            V6E,
            {'num_queries': 99999, 'num_keys': 9},
            'xla',
            'MiB of VMEM.*at most 96',
        ),
        (V4, {'num_queries': 1028, 'num_keys': 1028}, 'xla', 'MiB of VMEM'),
        (V6E, {'head_width': 60}, 'xla', 'multiple of 8, not 60'),
        (H100, {}, 'cudnn', 'no scores'),
        (H100._replace(platform='gpu'), {}, 'cudnn', 'no scores'),
        (H100, {'head_width': 60}, 'xla', 'multiple of 8 and .*, not 60'),
        (V6E, {'num_keys': 9000}, 'xla', 'MiB of VMEM'),
        (V6E, {'num_keys': 4000}, 'pallas_tpu', 'no scores'),
        (V6E, {'num_keys': 4000, 'dtype': 'float32'}, 'xla', 'MiB of VMEM'),
        (V6E, {'num_queries': 128}, 'pallas_tpu', 'no scores'),
        (V6E, {'num_queries': 9000}, 'pallas_tpu', 'no scores'),
        (H100, {'dtype': 'float32'}, 'xla', 'float16, not float32'),
        (H100, {'num_queries': 13, 'num_keys': 13}, 'xla', 'fewer than 128'),
        (H100, {'head_width': 160}, 'xla', 'at most 128, not 160'),
        (H100, {'num_queries': 30000, 'num_keys': 30000}, 'cudnn', 'no scores'),
        (CPU, {}, 'xla', 'no other one for cpu'),
    ],
)
def test_choose_names_the_implementation_and_the_reason(
    device, changes, name, reason
):
  found = choice.choose(ENCODER._replace(**changes), device)
  assert found.name == name
  with pytest.raises(ValueError, match=reason):
    raise ValueError(found.reason)


def test_current_device_is_the_default_without_a_mesh():
  assert choice.current_device() == CPU


def test_current_device_is_that_of_the_mesh_that_is_set():
  device = jax.sharding.AbstractDevice(
      device_kind='TPU v6 lite', num_cores=1, platform='tpu'
  )
  mesh = jax.sharding.AbstractMesh(
      (2,),
      ('data',),
      (jax.sharding.AxisType.Explicit,),
      abstract_device=device,
  )
  with jax.sharding.use_abstract_mesh(mesh):
    assert choice.current_device() == V6E


def test_report_logs_each_attention_once(caplog):
  choice.report.cache_clear()
  with caplog.at_level('INFO'):
    for _ in range(2):
      choice.report(ENCODER, choice.Choice('xla', 'it is small'))
    choice.report(ENCODER._replace(num_keys=9), choice.Choice('xla', 'of 9'))
  first, second = (record.getMessage() for record in caplog.records)
  assert first == (
      'attention of 257 queries to 257 keys, 6 heads of 64, bfloat16: xla,'
      ' because it is small'
  )
  assert 'to 9 keys' in second and second.endswith('xla, because of 9')
