"""Packaging of rvm_jax."""

import pathlib

import setuptools

# Reads and writes prepared data sets without TensorFlow. tensorflow-datasets
# imports importlib_resources without asking for it.
TFDS = ['tensorflow-datasets>=4.9.10,<5', 'importlib_resources>=6,<8']
# Packs videos into shards.
SHARDS = ['array-record>=0.8,<0.9', *TFDS]
# Finds scene cuts.
CUTS = ['scenedetect-headless>=0.7,<0.8']
# Reads the parquet files of Waymo Open.
WAYMO = ['pyarrow>=20,<27']

# Each minor version of these tools brings new findings or another layout of the
# code, so that a wider range would break `make lint` without any change here.
LINT = ['mypy>=2.4,<2.5', 'pyink>=26.5,<26.6', 'ruff>=0.17.6,<0.18']
DOCS = [
    'myst-parser>=5.2,<6',
    'pydata-sphinx-theme>=0.24,<0.25',
    'sphinx>=8.2,<10',
]
TEST = [
    'pytest>=8,<10',
    'pytest-xdist>=3.6,<4',
    'zarr>=3.1,<4',
    *CUTS,
    *SHARDS,
    *WAYMO,
]

setuptools.setup(
    name='rvm_jax',
    version='0.1.0',
    description='Recurrent video masked autoencoders in JAX and Flax',
    long_description=(pathlib.Path(__file__).parent / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=setuptools.find_packages(include=['rvm_jax', 'rvm_jax.*']),
    package_data={'rvm_jax.weights': ['checkpoints/*']},
    install_requires=[
        'absl-py>=2.1,<3',
        'av>=16,<19',
        'clu>=0.0.12,<0.1',
        'etils>=1.9,<2',
        'flatbuffers>=25.2,<26',
        'flax>=0.12,<0.13',
        'grain>=0.2.18,<0.3',
        'jax>=0.10,<0.12',
        'ml-collections>=1.1,<2',
        'mujoco>=4.0,<5',
        'numpy>=2.2,<3',
        'optax>=0.2.8,<0.3',
        'orbax-checkpoint>=0.12.8,<0.13',
        'pillow>=11,<14',
        'pyyaml>=6,<7',
        'safetensors>=0.5,<0.9',
        'scikit-learn>=1.7,<2',
        'scipy>=1.14,<2',
        'tensorboardX>=2.6.4,<3',
        'tensorstore>=0.1.86,<0.2',
        'tqdm>=4.66,<5',
    ],
    extras_require={
        'bench': ['matplotlib>=3.10,<4'],
        'cuts': CUTS,
        'dev': ['pre-commit>=4.5,<5', *LINT, *DOCS, *TEST],
        'docs': DOCS,
        'gcs': ['gcsfs>=2025.3'],
        # Compilers for devices that are not there: rvm_jax.training.plan. Each
        # needs an environment of its own.
        'gpu-plan': ['jax[cuda12]>=0.10,<0.12'],
        'lint': LINT,
        'shards': SHARDS,
        'test': TEST,
        'tfds': TFDS,
        'tpu-plan': ['jax[tpu]>=0.10,<0.12'],
        'torch': ['torch>=2.6,<3'],
        'wandb': ['wandb>=0.19,<1'],
        'waymo': WAYMO,
        'xmanager': ['xmanager>=0.8.5,<0.9'],
    },
)
