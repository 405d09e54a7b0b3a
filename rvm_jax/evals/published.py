"""Published scores, and the protocols in which a result may stand beside them.

The score of one model differs by several points between protocols: on
DAVIS-2017 the largest DINOv3 model has 8 points more in the DINOv3 paper than
in the V-JEPA 2.1 paper. So a published score stands only beside a result of the
same model and protocol.
"""

from collections.abc import Mapping
import json
from typing import Any, NamedTuple

from rvm_jax.evals.encoders import centering
from rvm_jax.storage import fingerprints
from rvm_jax.storage import settings

RELEASED, FAIR = 'released', 'fair'
# What each tag of a protocol means, in words for the reader of a table.
MEANINGS = {
    RELEASED: (
        'the settings of the released evaluation of RVM, and features that are'
        ' computed as in that evaluation'
    ),
    FAIR: (
        'the settings of the released evaluation of RVM, but features that'
        ' cover the whole frame, and a last clip that is filled up with copies'
        ' of the last frame'
    ),
    'own': (
        'other settings, or our choices where a paper does not give them;'
        ' results with the same digits after "own" have the same settings'
    ),
}

_PROPAGATION = dict(
    num_context=20, temperature=0.7, top_k=7, radius=20, center_frames=False
)
# Settings of the released evaluation, by benchmark (the evaluation notebook of
# github.com/google-deepmind/representations4d). The other settings of these
# benchmarks, such as the horizons of DAVIS, only add scores.
_SETTINGS = {
    'davis': dict(height=480, width=880, propagation=_PROPAGATION),
    'jhmdb': dict(height=320, width=320, propagation=_PROPAGATION),
    'vip': dict(
        height=448, width=880, propagation=_PROPAGATION | {'top_k': 10}
    ),
}


class Score(NamedTuple):
  """A published score.

  Attributes:
    value: the score, in the unit of our own score.
    source: the publication that it is taken from.
  """

  value: float
  source: str


_PAPER = 'RVM paper, arXiv 2512.13684'
# These scores were not read in the paper itself but in publications that quote
# it.
_QUOTED = f'{_PAPER}, as quoted by others'
# Published scores in the protocol 'released', by model, benchmark and headline.
# Scores of trained readouts are left out, because the protocol by which papers
# train them is not known in full.
_SCORES = {
    ('RVM-L', 'davis', 'j_and_f'): Score(66.0, _PAPER),
    ('RVM-H', 'davis', 'j_and_f'): Score(65.6, _PAPER),
    ('DINOv2-L', 'davis', 'j_and_f'): Score(61.7, _QUOTED),
    ('DINOv2-g', 'davis', 'j_and_f'): Score(62.4, _QUOTED),
    ('VideoMAE-L', 'davis', 'j_and_f'): Score(54.3, _QUOTED),
    ('V-JEPA2-L', 'davis', 'j_and_f'): Score(47.5, _QUOTED),
    ('RVM-L', 'vip', 'miou'): Score(38.0, _QUOTED),
    ('RVM-H', 'vip', 'miou'): Score(37.3, _QUOTED),
    ('DINOv2-L', 'vip', 'miou'): Score(40.6, _QUOTED),
    ('DINOv2-g', 'vip', 'miou'): Score(40.5, _QUOTED),
    ('VideoMAE-L', 'vip', 'miou'): Score(18.9, _QUOTED),
    ('V-JEPA2-L', 'vip', 'miou'): Score(17.2, _QUOTED),
    ('RVM-L', 'jhmdb', 'pck_0.1'): Score(48.4, _QUOTED),
}


def tag(result: Mapping[str, Any]) -> str:
  """Returns the name of a result's protocol.

  Args:
    result: contents of a file `result.json`, described in `evals.run`.

  Returns:
    'released' or 'fair'; or 'own' and eight digits, a hash of the settings and
    the variant.
  """
  # Results of early versions of this package do not have a variant.
  variant = result['model'].get('variant') or RELEASED
  # Nor do they have `center_frames`; frames were not centred then.
  protocol = centering.settle(result['protocol'], False)
  known = _SETTINGS.get(result['benchmark'])
  if known and not settings.list_differences(
      {key: protocol.get(key) for key in known}, known
  ):
    return variant
  text = json.dumps([protocol, variant], sort_keys=True)
  return f'own {fingerprints.hash_parts([text.encode()])[:8]}'


def find(result: Mapping[str, Any]) -> Score | None:
  """Returns the published score of a result's model in its protocol.

  A model is identified by its name, which gives its family and size. Whether
  its weights are the published ones is not checked.

  Args:
    result: contents of a file `result.json`.

  Returns:
    The score that `result['headline']` names; None if there is none.
  """
  if tag(result) != RELEASED:
    return None
  key = result['model']['name'], result['benchmark'], result['headline']
  return _SCORES.get(key)
