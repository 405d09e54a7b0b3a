"""Plans a run before it is launched: `python -m rvm_jax.training.plan`.

A step is compiled for the devices of a topology by their own compiler, which
needs none of them, and what it costs is read from the compiled program. Where
the compiler is not installed, a formula estimates the memory.
"""
