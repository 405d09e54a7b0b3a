"""Plans a run before it is launched: `python -m rvm_jax.training.plan`.

A training step is compiled for the devices of a topology by the compiler of
these devices, on a machine that need not have any. What the step costs is read
from the compiled program. If the compiler is not installed, a formula estimates
the memory.
"""
