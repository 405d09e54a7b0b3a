"""Peak speeds of devices, from which the utilisation (MFU) is computed."""

# Peak FLOP/s of a device in dense matrix products of bfloat16 with float32
# sums, by `jax.Device.device_kind`. A chip of TPU v2, TPU v3 or TPU7x is two
# devices, each with half of the chip's peak. Sources: for TPUs
# docs.cloud.google.com/tpu/docs (the page of each version) and the names in
# jax/_src/pallas/mosaic/tpu_info.py; for GPUs NVIDIA's data sheets, whose
# figures with sparsity are halved.
_PEAKS = {
    'TPU v2': 23e12,
    'TPU v3': 61.5e12,
    'TPU v4': 275e12,
    'TPU v5 lite': 197e12,
    'TPU v5e': 197e12,
    'TPU v5': 459e12,
    'TPU v5p': 459e12,
    'TPU v6 lite': 918e12,
    'TPU v6e': 918e12,
    'TPU7x': 2307e12 / 2,
    'NVIDIA A100-SXM4-40GB': 312e12,
    'NVIDIA A100-SXM4-80GB': 312e12,
    'NVIDIA A100-PCIE-40GB': 312e12,
    'NVIDIA A100 80GB PCIe': 312e12,
    'NVIDIA H100 80GB HBM3': 989e12,
    'NVIDIA H100 PCIe': 756e12,
    'NVIDIA H100 NVL': 835e12,
    'NVIDIA H200': 989e12,
    'NVIDIA GH200 480GB': 989e12,
    'NVIDIA B200': 2250e12,
    'NVIDIA GB200': 2500e12,
    'NVIDIA L4': 121e12,
    'NVIDIA L40S': 362e12,
}


def find(device_kind: str) -> float | None:
  """Returns the peak of one device in FLOP/s, None if it is not known.

  Args:
    device_kind: kind of the device, as in `jax.Device.device_kind`.
  """
  return _PEAKS.get(device_kind)
