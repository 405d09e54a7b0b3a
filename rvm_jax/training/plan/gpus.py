"""Descriptions of GPUs, by which XLA compiles programs without having a GPU.

Each is a protocol buffer of XLA, `GpuTargetConfigProto`, in text form. XLA
gives no estimate of the time of a program for GPUs, so a plan has only what
follows from the sizes of arrays.
"""

# The H100 with SXM5 socket and 80 GB. Sources: NVIDIA's H100 data sheet and its
# architecture paper (132 multiprocessors, 50 MB of L2 cache, 3.35 TB/s,
# 1.98 GHz); the table of compute capability 9.0 in the CUDA C++ programming
# guide (threads, blocks, registers, shared memory). The memory is what CUDA
# reports, and the version of cuDNN the oldest one that jax[cuda12] takes.
H100 = """
device_description_str: "NVIDIA H100 80GB HBM3"
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 patch: 0 }
gpu_device_info {
  cuda_compute_capability { major: 9 minor: 0 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  device_memory_size: 84942979072
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
}
"""

# The descriptions by the name of the GPU in topologies.
TARGETS = {'h100': H100}
