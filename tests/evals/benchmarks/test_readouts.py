"""Benchmarks with a readout: the whole command, and how scores are averaged."""

import csv
import importlib
import json

import jax
import numpy as np
from PIL import Image
import pytest

from rvm_jax.evals import run as run_lib
from rvm_jax.evals.benchmarks import clips
from rvm_jax.evals.datasets import ssv2
from rvm_jax.evals.fitting import task as task_lib
from tests.evals import tiny_videos

SMALL_HEADS = {
    'ssv2': dict(num_params=8, num_heads=2),
    'kinetics': dict(num_params=8, num_heads=2),
    'perception_test': dict(
        num_params=8, num_heads=2, query_width=8, num_bases=2
    ),
    'waymo': dict(num_params=8, num_heads=2, query_width=8, num_bases=2),
    'scannet': dict(
        num_params=8, num_heads=2, patch=(2, 16, 16), query_chunk=None
    ),
}


def shrink(name):
  """The shipped config, for clips of four small frames and three steps."""
  config = importlib.import_module(f'configs.eval_{name}').get_config()
  protocol = config.protocol
  protocol.sampling.update(num_frames=4, height=32, width=32)
  protocol.head.update(SMALL_HEADS[name])
  protocol.features.dtype = 'float32'
  protocol.training.update(
      num_steps=3,
      batch_size=2,
      warmup_steps=1,
      learning_rates=(1e-3,),
      log_every=1,
  )
  return config


@pytest.fixture
def compiled_in_haste():
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture
def run(video_set, tmp_path):
  """Runs a benchmark on its small data set; returns the result folder."""

  def run_one(name, config=None):
    config = config or shrink(name)
    config.data_dir = str(tmp_path / name)
    if not (tmp_path / name).exists():
      video_set(name)
    out = tmp_path / f'results_{len(list(tmp_path.iterdir()))}'
    run_lib.run('raw:16', str(out), str(tmp_path / 'work'), **config.to_dict())
    return out

  return run_one


@pytest.fixture
def answer(monkeypatch):
  """Puts answers in the place of a fitted head's; returns what was asked."""

  def put(function):
    asked = {}

    def evaluate(model, head, train, test, metric, **settings):
      asked.update(settings, head=head, train=train, test=test)
      rows, shown = [], []
      for record in test:
        example = record.read(None)
        predicted = function(example)
        truth = {k: v for k, v in example.items() if k != 'frames'}
        rows.append(metric.score(record, truth, predicted))
        shown.append(task_lib.Shown(record.name, example, predicted))
      return task_lib.Result(
          metric.summarise(rows), rows, shown[:2], ['fitted']
      )

    monkeypatch.setattr(task_lib, 'evaluate', evaluate)
    return asked

  return put


def load(out):
  result = json.loads((out / 'result.json').read_text())
  with open(out / 'rows.csv', newline='') as f:
    return result, list(csv.DictReader(f))


@pytest.mark.parametrize(
    'name, task, num_rows, num_files',
    [
        ('ssv2', 'SSv2 top-1', 2, 6 + 3),
        ('perception_test', 'Perception Test AJ', 4, 2 * 2),
        ('waymo', 'Waymo mean IoU', 6, 2 * 2),
        # Ten frames of each scan are in one of its clips, or in two.
        ('scannet', 'ScanNet AbsRel', 4, 2 + 2 * 2 * 10),
    ],
)
def test_the_whole_command(
    name, task, num_rows, num_files, run, compiled_in_haste
):
  out = run(name)
  result, rows = load(out)
  assert result['task'] == task and result['benchmark'] == name
  assert np.isfinite(result['scores'][result['headline']])
  assert result['lower_is_better'] == (name == 'scannet')
  assert result['data']['num_files'] == num_files
  assert len(rows) == num_rows
  pictures = list(out.glob('picture_*.png'))
  assert len(pictures) == min(4, num_rows)
  for path in pictures:
    assert np.asarray(Image.open(path)).std() > 10


def test_videos_are_right_by_the_mean_over_their_clips(run, answer):
  chances = iter([(0.4, 0.6), (0.9, 0.1), (0.2, 0.8), (0.7, 0.3)])
  asked = answer(lambda _: {'probabilities': np.array(next(chances))})
  config = shrink('kinetics')
  config.protocol.test.num_clips = 2
  result, rows = load(run('kinetics', config=config))
  # Of class 1, found 0; of class 0, found 1.
  assert result['scores'] == {'top_1': 0.0, 'num_videos': 2}
  assert [(row['class'], row['found'], row['num_clips']) for row in rows] == [
      ('yoga (easy)', 'abseiling', '2'),
      ('abseiling', 'yoga (easy)', '2'),
  ]
  assert result['notes'] == ['2 classes, not 700', 'fitted']
  assert asked['head'].num_classes == 2 and asked['head'].num_params == 8
  assert len(asked['train']) == 4 and len(asked['test']) == 4
  assert asked['examples']['test']['test'] == {'num_clips': 2, 'num_crops': 1}
  # What is fitted does not depend on how it is scored.
  assert asked['examples']['train'].keys() == {'sampling', 'train'}
  chances = iter([(0.1, 0.9), (0.6, 0.4), (0.2, 0.8), (0.6, 0.4)])
  result, _ = load(run('kinetics', config=config))
  assert result['scores']['top_1'] == 50.0


def test_points_score_as_clips_without_their_padding(run, answer):
  asked = answer(lambda example: example)
  result, rows = load(run('perception_test'))
  scores = result['scores']
  assert scores['average_jaccard'] == scores['occlusion_accuracy'] == 100
  # At 2.5 pixels of 256 in a frame, all thresholds but the first few break.
  assert 0 < scores['static_average_jaccard'] < 100
  assert [row['num_points'] for row in rows] == ['3', '3', '2', '3']
  assert scores['num_points'] == 11 and scores['num_clips'] == 4
  assert (asked['head'].height, asked['head'].width) == (32, 32)
  answer(
      lambda e: e
      | {
          'tracks': np.broadcast_to(e['tracks'][:, :1], e['tracks'].shape),
          'visible': np.ones_like(e['visible']),
      }
  )
  again, _ = load(run('perception_test'))
  assert again['scores']['average_jaccard'] == pytest.approx(
      scores['static_average_jaccard']
  )
  # Whatever is said of padding.
  answer(
      lambda e: e
      | {
          'visible': e['visible'] | ~e['is_valid'][:, None],
          'tracks': np.where(e['is_valid'][:, None, None], e['tracks'], 7),
      }
  )
  again, _ = load(run('perception_test'))
  assert again['scores'] == scores


def test_boxes_weigh_alike(run, answer):
  asked = answer(lambda example: example)
  config = shrink('waymo')
  config.protocol.test.min_presence = 0.0
  result, rows = load(run('waymo', config=config))
  assert result['scores']['mean_iou'] == 100
  assert asked['examples']['train']['train']['num_objects'] == 25
  counts = [int(row['num_boxes']) for row in rows]
  # Four frames of two objects, the first not counted; the last clips, from
  # frames 14 and 17 on, lose one.
  assert counts == [6, 6, 6, 6, 4, 3]
  assert {row['num_objects'] for row in rows} == {'2'}
  assert result['scores']['num_boxes'] == sum(counts)
  static = [float(row['static_mean_iou']) for row in rows]
  assert result['scores']['static_mean_iou'] == pytest.approx(
      np.average(static, weights=counts)
  )
  assert 0 < min(static) and max(static) < 100
  answer(lambda e: {'boxes': e['boxes'][..., [2, 1, 0, 3]]})  # Inside out.
  assert load(run('waymo', config=config))[0]['scores']['mean_iou'] == 0


def test_depth_is_averaged_over_pixels_and_over_frames(run, answer):
  asked = answer(lambda example: {'depth': 1.1 * example['depth']})
  result, rows = load(run('scannet'))
  scores = result['scores']
  assert {row['delta_1'] for row in rows} == {'100.0'}  # In % as the scores.
  assert scores['abs_rel'] == pytest.approx(0.1, rel=1e-5)
  assert scores['abs_rel_by_frame'] == pytest.approx(0.1, rel=1e-5)
  assert scores['delta_1'] == 100 and scores['num_frames'] == 16
  assert tuple(asked['head'].patch) == (2, 16, 16)

  examples = []

  def off(example):  # One frame, of which half is known.
    factor = np.ones((4, 1, 1), np.float32)
    if not examples:
      example['depth'][0, :, 16:] = 0
      factor[0] = 2
    examples.append(example['depth'])
    return {'depth': example['depth'] * factor}

  answer(off)
  scores = load(run('scannet'))[0]['scores']
  known = np.stack(examples) > 0
  share = known[0, 0].sum() / known.sum()
  assert scores['abs_rel'] == pytest.approx(share)
  assert scores['abs_rel_by_frame'] == pytest.approx(1 / 16)
  assert scores['delta_1'] == pytest.approx(100 * (1 - share))


def test_what_is_left_out_is_said(run, video_set, answer):
  answer(lambda _: {'probabilities': np.array([0.0, 1.0])})
  root = video_set('ssv2')
  (root / '20bn-something-something-v2/1.webm').unlink()
  config = shrink('ssv2')
  config.protocol.train.max_bad_share = 0.5
  result, _ = load(run('ssv2', config=config))
  assert result['notes'][0].startswith('train: 1 of 4 videos are missing')
  assert result['scores']['top_1'] == 50


def test_an_unknown_setting_is_an_error(video_set):
  root = video_set('ssv2')
  sampling = dict(
      num_frames=4, frame_rate=6.0, height=32, width=32, squash=False
  )
  with pytest.raises(TypeError, match='num_clip'):
    clips.read(
        ssv2.read,
        str(root),
        ('train', 'validation'),
        sampling,
        {'max_bad_share': 0.0, 'num_clip': 2},
        {'max_bad_share': 0.0},
    )


@pytest.mark.parametrize(
    'name, frame_rate, num_params',
    [
        ('ssv2', 6.0, 7_041_966),  # As 4DS counts.
        ('perception_test', 12.0, 12_400_000),
        ('waymo', 10.0, 12_500_000),
        ('scannet', 30.0, 18_100_000),
    ],
)
def test_shipped_heads_fit_their_examples(
    name, frame_rate, num_params, run, answer, video_set, tmp_path
):
  root = video_set(name)
  if name == 'ssv2':
    classes = tiny_videos.SSV2 | {f'{i}': str(i) for i in range(2, 174)}
    (root / 'something-something-v2-labels.json').write_text(
        json.dumps(classes)
    )
  asked = answer(lambda example: example | {'probabilities': np.eye(174)[0]})
  config = importlib.import_module(f'configs.eval_{name}').get_config()
  config.protocol.sampling.frame_rate = frame_rate  # The videos are short.
  result, _ = load(run(name, config=config))
  assert not [note for note in result['notes'] if 'classes' in note]
  example = asked['train'][0].read(np.random.default_rng(0))
  assert example.pop('frames').shape == (16, 224, 224, 3)
  batch = {
      key: jax.ShapeDtypeStruct((2, *np.shape(x)), np.asarray(x).dtype)
      for key, x in example.items()
  }
  features = jax.ShapeDtypeStruct((2, 16, 196, 1024), np.float32)
  head = asked['head']
  params = jax.eval_shape(head.init, jax.random.key(0), features, batch)
  counted = sum(x.size for x in jax.tree.leaves(params))
  assert counted == pytest.approx(num_params, rel=0 if name == 'ssv2' else 0.02)
  outputs = jax.eval_shape(head.apply, params, features, batch)
  assert jax.eval_shape(head.loss, outputs, batch).shape == (2,)
  for key, x in jax.eval_shape(head.decode, outputs, batch).items():
    assert key == 'probabilities' or x.shape == batch[key].shape
