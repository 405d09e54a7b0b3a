r"""The paper's mixture of five sets of video, packed by rvm_jax.data.shards.

  python -m rvm_jax.main --workdir=runs/large \
      --config=configs/mixtures/rvm_paper.py:size=large,folder=/data/packed

Packed sets lie in the folder under the names in `WEIGHTS`; docs/mixtures says
where each comes from and how it is packed. `size` is the name of the config
that gives everything else: small, base (if it is left out), large or huge.

The weights are the paper's: shares of the samples, whatever the number of
videos in a set. The paper trains on about 8.4 million clips of 64 frames; which
clips of the longer videos these are is not known.
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
# What is taken if nothing else is given.
_OPTIONS = {'size': 'base', 'folder': '/data/packed'}


def get_config(options: str = '') -> ml_collections.ConfigDict:
  """Returns the config of a run on the mixture.

  Args:
    options: what follows the colon after the file's name: 'size=NAME',
      'folder=PATH' or both with a comma between them. `_OPTIONS` has what is
      not given.

  Raises:
    ValueError: there are other options, or the size is not known.
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
