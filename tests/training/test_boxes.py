"""Boxes that devices resize become the frames that a host would have made."""

import jax
import numpy as np
import pytest

from rvm_jax.training import boxes
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import program as program_lib
from tests import tiny
from tests.training import test_objectives


@pytest.fixture
def configs():
  """Configs of the same crops, resized by the host and by the devices."""
  here, there = tiny.get_config(), tiny.get_config()
  here.data.crop_area = there.data.crop_area = (0.3, 0.9)
  there.data.update(box_height=34, box_width=40)
  # The first batch with this seed has flipped clips and others.
  here.seed = there.seed = 1
  return here, there


def take_batch(config):
  iterator = objectives.open_data(config).iterator()
  try:
    return next(iterator)
  finally:
    iterator.close()


def test_resized_boxes_are_the_frames_of_the_host(configs):
  expected, batch = map(take_batch, configs)
  # An objective need not take all arrays: this one leaves out the source.
  shapes = {
      key: jax.ShapeDtypeStruct(expected[key].shape, expected[key].dtype)
      for key in ('target', 'deltas')
  }
  taken = boxes.select(batch, shapes)
  sent = boxes.shapes_sent(shapes, configs[1].data)
  assert {key: (x.shape, x.dtype) for key, x in taken.items()} == {
      key: (x.shape, x.dtype) for key, x in sent.items()
  }
  assert batch['target'].shape == (4, 2, 34, 40, 3)
  mesh = mesh_lib.make_mesh(fsdp=2)
  with jax.set_mesh(mesh):
    resized = jax.jit(lambda x: boxes.resize(x, shapes))(
        mesh_lib.to_devices(taken, mesh)
    )
  assert resized.keys() == shapes.keys()
  assert np.array_equal(resized['deltas'], expected['deltas'])
  difference = np.asarray(resized['target']).astype(int) - expected['target']
  assert np.abs(difference).max() <= 1
  assert batch['is_flipped'].any() and not batch['is_flipped'].all()


def test_a_batch_without_boxes_stays_as_it_is(configs):
  batch = take_batch(configs[0])
  shapes = {key: batch[key] for key in ('source', 'deltas')}
  assert boxes.select(batch, shapes).keys() == shapes.keys()
  assert boxes.shapes_sent(shapes, configs[0].data) == shapes
  assert boxes.resize(batch, shapes) is batch


def test_a_step_learns_the_same_from_boxes(configs):
  losses = []
  for config in configs:
    objective = test_objectives.MeanColour(config)
    program = program_lib.build(config, objective)
    with jax.set_mesh(program.mesh):
      _, metrics = program.dispatch(program.init(0), take_batch(config))
    losses.append(float(metrics['loss']))
  assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_evaluators_get_frames_that_are_resized(configs):
  expected, found = (objectives.open_data(x).first(3) for x in configs)
  assert found.keys() == expected.keys()
  for key in found:
    assert np.array_equal(found[key], expected[key])
