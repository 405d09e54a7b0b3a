r"""The paper's mixture of five sets of video, packed by rvm_jax.data.shards.

  python -m rvm_jax.main --workdir=runs/large \
      --config=configs/mixtures/rvm_paper.py:size=large,folder=/data/packed

The packed sets are in `folder`, under the names in `WEIGHTS`; docs/mixtures
says where each comes from and how it is packed. All other settings are those of
configs/rvm_SIZE.py, where `size` is small, base (the default), large or huge.

The weights are the paper's. They are shares of the samples, independent of the
number of videos in a set. The paper trains on about 8.4 million clips of 64
frames; it is not known which clips of the longer videos these are.
"""

import importlib
import posixpath

import ml_collections

# Name of the folder of each set, and its share of the samples.
WEIGHTS = {
    'ssv2': 0.056,
    'kinetics700': 0.188,
    'howto100m': 0.318,
    'yt8m': 0.188,
    'yt_bb': 0.250,
}
_SIZES = ('small', 'base', 'large', 'huge')
# Default values of the options.
_OPTIONS = {'size': 'base', 'folder': '/data/packed'}


def get_config(options: str = '') -> ml_collections.ConfigDict:
  """Returns the config of a run on the mixture.

  Args:
    options: text after the colon that follows the file's name: 'size=NAME',
      'folder=PATH', or both with a comma between them. `_OPTIONS` has the
      defaults.

  Raises:
    ValueError: there are other options, or the size is unknown.
  """
  given = dict(x.partition('=')[::2] for x in options.split(',') if x)
  if not given.keys() <= _OPTIONS.keys() or not all(given.values()):
    raise ValueError(
        'expected size=NAME,folder=PATH (either may be left out) after the'
        f' colon, got {options!r}'
    )
  taken = _OPTIONS | given
  size = taken['size']
  if size not in _SIZES:
    raise ValueError(f'size={size}: expected {", ".join(_SIZES)}')
  config = importlib.import_module(f'configs.rvm_{size}').get_config()
  config.data.sources = tuple(
      posixpath.join(taken['folder'], x) for x in WEIGHTS
  )
  config.data.weights = tuple(WEIGHTS.values())
  return config
