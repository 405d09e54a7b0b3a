"""Tests the scenes, table and facts; tests/test_main.py runs the command."""

import numpy as np
import pytest

from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.scenes import demo


def test_scenes_are_those_held_out_from_a_run(monkeypatch):
  monkeypatch.setattr(demo, 'NUM_SCENES', 2)
  monkeypatch.setattr(demo, 'NUM_FRAMES', 3)
  scenes = demo.generate_scenes(seed=5, size=16)
  assert [scene.frames.shape for scene in scenes] == [(3, 16, 16, 3)] * 2
  source = source_lib.Scenes(2, 16, 16, 5, split='held_out')
  expected = source_lib.render(
      source.scene_seed(1), height=16, width=16, frames=range(3)
  )
  np.testing.assert_array_equal(scenes[1].frames, expected)


def test_the_table_has_a_row_for_each_encoder_and_the_gain():
  results = {
      'raw pixels': {'j': 0.161, 'j_and_f': 0.172, 'num_objects': 37},
      'untrained': {'j': 0.05, 'j_and_f': 0.046, 'num_objects': 37},
      'trained': {'j': 0.165, 'j_and_f': 0.166, 'num_objects': 37},
  }
  text = demo.tabulate(results, 64)
  assert 'Masks of 37 objects' in text and '64 x 64 pixels' in text
  assert [line.split() for line in text.split('\n')[4:7]] == [
      ['raw', 'pixels', '0.161', '0.172'],
      ['untrained', '0.050', '0.046'],
      ['trained', '0.165', '0.166'],
  ]
  assert text.endswith('changed the overlap by +0.115.')


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--num_clips=7'], '--num_clips must be at least 8, got 7'),
        ([], 'has no checkpoint of a run'),
    ],
)
def test_wrong_input_gives_one_line_and_exit_code_2(
    tmp_path, capsys, flags, message
):
  assert demo.main([f'--workdir={tmp_path}', *flags]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('error: ') and message in line


def test_facts_leave_out_what_the_run_has_not_written():
  config = {'data': {'sources': ['scenes'], 'height': 32, 'width': 48}}
  facts = demo.list_facts(config, {'a': np.zeros((300, 100))}, None)
  assert facts == {
      'Parameters': '0.03 million',
      'Trained on': 'scenes',
      'Frames': '32 x 48 pixels',
  }
