"""Tests of counting what encoders cost, and of the tables of the counts."""

import json
import pathlib

import pytest

from rvm_jax.baselines import vjepa2
from rvm_jax.models import rvm
from rvm_jax.ops.attention import xla

FOLDER = pathlib.Path(__file__).parents[2] / 'benchmarks'


@pytest.fixture(autouse=True)
def folder(monkeypatch):
  """Makes the scripts' folder importable, as running a script does."""
  monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def cost(monkeypatch):
  """Returns the module `cost`, with frames of 64 x 64 pixels."""
  import contenders
  import cost

  monkeypatch.setattr(contenders, 'PIXELS', 64)
  return cost


@pytest.fixture
def page(tmp_path, monkeypatch):
  """Returns the module `cost_page`, which looks for results in `tmp_path`."""
  import cost_page
  import video_cost

  monkeypatch.setattr(video_cost, 'RESULTS', tmp_path)
  return cost_page


@pytest.fixture
def video_cost():
  """Returns the module `video_cost`."""
  import video_cost

  return video_cost


def attention(q, m, d):
  """Returns the FLOPs of attention of q queries to m tokens of width d.

  These are those of the four dense layers, two for queries and output and two
  for keys and values, and of the two products with all pairs.
  """
  return 2 * (2 * q + 2 * m) * d * d + 2 * 2 * q * m * d


def mlp(q, d, hidden):
  """Returns the FLOPs of an MLP with two layers on q tokens of width d."""
  return 2 * 2 * q * d * hidden


def test_flops_of_rvm_are_those_of_its_products(cost):
  model = rvm.RVM(
      width=256,
      encoder_layers=2,
      encoder_heads=4,
      encoder_mlp=1024,
      core_layers=1,
      core_heads=4,
      core_mlp=512,
      decoder_layers=0,
  )
  found = cost.count_on_host(model, 1)
  # 16 patches and CLS. In turn: patches, encoder, gates, core.
  n, d = 1 + 16, 256
  expected = (
      2 * (n - 1) * 16 * 16 * 3 * d
      + 2 * (attention(n, n, d) + mlp(n, d, 1024))
      + 4 * 2 * n * d * d
      + 2 * attention(n, n, d)
      + mlp(n, d, 512)
  )
  # The rest are norms, softmax and other cheap operations.
  assert expected < found['flops'] < 1.02 * expected


def test_flops_of_a_loop_over_blocks_count_each_round(cost, monkeypatch):
  model = vjepa2.VJEPA2(
      width=256,
      depth=2,
      num_heads=4,
      mlp_width=1024,
      patch=16,
      tubelet=2,
      rows=4,
      num_frames=16,
      epsilon=1e-6,
  )
  n, d = 8 * 16, 256
  expected = 2 * n * 2 * 16 * 16 * 3 * d + 2 * (
      attention(n, n, d) + mlp(n, d, 1024)
  )
  # Four blocks of queries.
  monkeypatch.setattr(xla, 'MAX_SCORES', 4 * n * n // 4)
  found = cost.count_on_host(model, 16)
  # The exact GELU counts as several operations. If the loop were counted once,
  # more than these 4 % would be missing.
  assert expected < found['flops'] < 1.04 * expected
  assert found['temporary'] < found['unblocked']


def make_page_result(name, calls, parameters=1_000_000):
  """Returns a result with pairs of a number of frames and FLOPs as calls."""
  return {
      'name': name,
      'parameters': parameters,
      'calls': [
          {
              'frames': frames,
              'flops': flops,
              'arguments': 4e9,
              'temporary': frames * 1e8,
              'outputs': 0,
              'unblocked': frames * frames * 1e8,
          }
          for frames, flops in calls
      ],
      'versions': {'jax': '0.10.2'},
  }


RVM = make_page_result('rvm.L', [(1, 10e9)])
# In a call with T frames each costs 4 + T / 8 GFLOPs: 6 in windows of 16.
CLIP = make_page_result(
    'vjepa.L', [(2**i, 2**i * (4 + 2**i / 8) * 1e9) for i in range(1, 11)]
)


def test_windows_are_filled_up(video_cost):
  flops = [video_cost.count_video(CLIP, x) for x in (1, 16, 17, 32)]
  assert flops == [96e9, 96e9, 192e9, 192e9]
  assert [video_cost.count_video(RVM, x) for x in (1, 16)] == [10e9, 160e9]


def test_crossovers_are_where_the_costs_are_equal(video_cost):
  # From 20 frames on two windows cost 192 GFLOPs, and RVM 200.
  assert video_cost.find_window_crossover(RVM, CLIP) == 20
  # 4 + 48 / 8 = 10 GFLOPs a frame.
  assert video_cost.find_whole_crossover(RVM, CLIP) == pytest.approx(48)
  # RVM needs 4.1 GB, and any call with two frames or more needs more.
  assert video_cost.find_memory_crossover(RVM, CLIP) == 2
  cheap = make_page_result('vjepa.L', [(x['frames'], 1) for x in CLIP['calls']])
  assert video_cost.find_whole_crossover(RVM, cheap) is None
  dear = make_page_result('rvm.L', [(1, 1e9)])
  assert video_cost.find_window_crossover(dear, CLIP) is None
  assert video_cost.find_whole_crossover(dear, CLIP) == 2


def test_tables_have_every_result(page, tmp_path):
  for result in (RVM, CLIP):
    (tmp_path / f'{result["name"]}.json').write_text(json.dumps(result))
  tables = page.make_tables()
  assert '| RVM L | 1.0 | 1 | 10.0 | 10.0 | 1.00 | 4.10 | 0.00 |' in tables
  assert '| V-JEPA L | 1.0 | 16 | 96.0 | 6.0 | 0.60 | 5.60 | 0.00 |' in tables
  assert '| not compiled | not compiled |' in tables
  assert (
      '| V-JEPA L | RVM L | 20 frames | 48 frames | 2 frames | 2 frames |'
      in tables
  )
  assert 'jax 0.10.2' in tables


def test_page_has_the_tables_of_the_results():
  import cost_page

  text = cost_page.PAGE.read_text()
  page = text.split(cost_page.BEGIN)[1].split(cost_page.END)[0].strip()
  assert page == cost_page.make_tables()


# Hugging Face's classes have as many parameters. DINOv2's also have a mask
# token of one width, which is subtracted.
@pytest.mark.parametrize(
    'name, parameters',
    [
        ('rvm.L', 374_483_968),
        ('dinov2.S', 22_056_576 - 384),
        ('dinov2.B', 86_580_480 - 768),
        ('dinov2.L', 304_368_640 - 1024),
        ('dinov2.g', 1_136_480_768 - 1536),
        ('videomae.S', 21_879_936),
        ('videomae.B', 86_227_200),
        ('videomae.L', 303_860_736),
        ('videomae.H', 631_607_040),
        ('vjepa2.L', 303_885_312),
        ('vjepa2.H', 631_648_000),
        ('vjepa2.g', 1_012_173_952),
    ],
)
def test_results_are_those_of_the_published_sizes(name, parameters, video_cost):
  assert video_cost.read()[name]['parameters'] == parameters


def test_every_encoder_has_results(video_cost):
  import contenders
  import cost

  assert list(video_cost.read()) == list(contenders.NAMES)
  assert {name for name, _ in cost.TIMED} <= set(contenders.NAMES)
