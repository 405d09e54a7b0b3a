# An image of rvm_jax for clusters, for the CPU, CUDA or TPUs:
#
#   docker build --build-arg=PLATFORM=tpu --tag=REGISTRY/rvm:1 .
#
# PLATFORM is cpu, cuda12 or tpu, one of JAX's own extras. The wheels of JAX for
# CUDA bring CUDA's libraries with them: the host needs the driver alone. The
# sources are in /rvm_jax, where commands start.
FROM python:3.11-slim

ARG PLATFORM=cpu
WORKDIR /rvm_jax

# The dependencies first, so that a change of the sources keeps this layer.
COPY setup.py pyproject.toml README.md ./
RUN mkdir rvm_jax && touch rvm_jax/__init__.py \
 && pip install --no-cache-dir --editable . \
 && if [ "$PLATFORM" != cpu ]; then \
      pip install --no-cache-dir "jax[$PLATFORM]<0.12"; \
    fi

COPY rvm_jax rvm_jax
COPY configs configs
COPY experiments experiments

# A stop by the scheduler must reach Python itself, so there is no shell between.
CMD ["python", "-m", "rvm_jax.main", "--help"]
