"""The moving things of a generated scene, simulated by MuJoCo.

A world is a floor with up to four walls and three to eight objects. The objects
fall, are thrown at each other and are knocked back towards the middle now and
then, or slide about while the floor tilts. A world has no last frame, so the
length of a clip changes nothing in it.

A shape is called a geom, as in MuJoCo. A body is what moves: each object is a
body with one geom; the planes belong to body 0, the world.
"""

import math

import mujoco
import numpy as np

# Frames per second.
FRAME_RATE = 24.0
# Physics steps per frame.
_STEPS = 4
# The parts of MuJoCo's state that are needed to continue the simulation.
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
# A frame number beyond every clip.
_NEVER = 1 << 30
_SHAPES = ('box', 'sphere', 'capsule', 'cylinder', 'ellipsoid')


class World:
  """Objects in a room, sampled at random, as functions of time.

  Attributes:
    model: MuJoCo model. Its geoms are the planes (the floor, then the walls;
      group 1), then the objects (group 0).
    data: MuJoCo state of the frame last given to `pose`.
    num_planes: number of planes: the floor and the walls.
    num_objects: number of objects.
  """

  def __init__(self, rng: np.random.Generator):
    """Samples a world.

    Args:
      rng: random generator.
    """
    # The room, the objects where they start, and how they touch.
    num = self.num_objects = int(rng.integers(3, 9))
    energy = rng.uniform(0.3, 1.0)  # From calm to busy.
    planes = _sample_planes(rng)
    self.num_planes = len(planes)
    is_open = len(planes) < 5
    is_tilting = rng.random() < 0.7 and not is_open
    friction = rng.uniform(0.08, 0.2) if is_tilting else rng.uniform(0.2, 0.8)
    spots, bodies = _sample_bodies(rng, num, energy)
    self.model = mujoco.MjModel.from_xml_string(
        '<mujoco><size memory="1M"/>'
        f'<option timestep="{1 / (FRAME_RATE * _STEPS)!r}" iterations="20"/>'
        f'<default><geom density="300" friction="{friction!r}"/>'
        f'</default>'
        f'<worldbody>{"".join(planes + bodies)}</worldbody></mujoco>'
    )
    self.data = mujoco.MjData(self.model)
    # Drag in proportion to mass, so that all shapes slow down alike.
    mass = self.model.body_mass[1:, None].repeat(3, 1)
    mass = np.concatenate([mass, self.model.body_inertia[1:]], 1)
    drag = rng.uniform(0.6, 1.2) if is_open else rng.uniform(0.1, 0.5)
    self.model.dof_damping[:] = drag * mass.ravel()

    # Initial velocities: roughly towards the middle, up or down, with a spin.
    # `_places` [O, 2] and `_velocities` [O, 6] are views of the state.
    self._places = self.data.qpos.reshape(num, 7)[:, :2]
    self._velocities = self.data.qvel.reshape(num, 6)
    self._velocities[:, :2] = _towards_middle(
        spots, rng.uniform(-1.0, 1.0, num), energy * rng.uniform(0.0, 3.5, num)
    )
    self._velocities[:, 2] = energy * rng.uniform(-0.5, 2.0, num)
    self._velocities[:, 3:] = energy * rng.normal(size=(num, 3)) * 3.0

    # Knocks: the frame of each object's first knock (some objects get none),
    # the number of frames from one knock to the next, the angle (rad) between a
    # knock and the way to the middle, and the velocities (m/s, along the floor
    # and up) and spin (rad/s) that a knock adds.
    self._knock_first = rng.integers(10, 34, num)
    self._knock_first[
        rng.random(num) > (0.6 if is_tilting else 0.5 + 0.5 * energy)
    ] = _NEVER
    self._knock_every = rng.integers(24, 60, num)
    self._knock_turn = rng.uniform(-0.8, 0.8, num)
    self._knock_speed = rng.uniform(0.6, 2.4, (num, 2))
    self._knock_spin = rng.normal(size=(num, 3)) * 3.0

    # The tilt of the floor (rad), and how its direction turns (rad/s).
    self._tilt = rng.uniform(0.12, 0.25) if is_tilting else 0.0
    self._swirl = rng.uniform(1.5, 3.0) * rng.choice([-1, 1])
    self._swirl_start = rng.uniform(0, 2 * math.pi)
    self._size = mujoco.mj_stateSize(self.model, _STATE)
    self._states = [self._copy_state()]

  def pose(self, frame: int) -> mujoco.MjData:
    """Returns `data`, set to the state of the world at a frame.

    Frames are simulated once, in order, and remembered. So the state at a frame
    does not depend on the frames that were asked for before.

    Args:
      frame: number of the frame, 0 or more.
    """
    while len(self._states) <= frame:
      self._advance()
    mujoco.mj_setState(self.model, self.data, self._states[frame], _STATE)
    mujoco.mj_kinematics(self.model, self.data)
    return self.data

  def _copy_state(self):
    state = np.empty(self._size)
    mujoco.mj_getState(self.model, self.data, state, _STATE)
    return state

  def _advance(self):
    """Simulates one more frame."""
    frame = len(self._states)
    mujoco.mj_setState(self.model, self.data, self._states[-1], _STATE)
    # Knock the objects whose turn it is towards the middle.
    since = frame - self._knock_first
    knocked = (since >= 0) & (since % self._knock_every == 0)
    if knocked.any():
      self._velocities[knocked, :2] += _towards_middle(
          self._places[knocked],
          self._knock_turn[knocked],
          self._knock_speed[knocked, 0],
      )
      self._velocities[knocked, 2] += self._knock_speed[knocked, 1]
      self._velocities[knocked, 3:] += self._knock_spin[knocked]
    # The world's axes are fixed to the floor. When the floor tilts, the
    # direction of gravity changes in these axes.
    angle = self._swirl_start + self._swirl * frame / FRAME_RATE
    self.model.opt.gravity[:] = (
        9.81 * math.sin(self._tilt) * math.cos(angle),
        9.81 * math.sin(self._tilt) * math.sin(angle),
        -9.81 * math.cos(self._tilt),
    )
    mujoco.mj_step(self.model, self.data, _STEPS)
    self._states.append(self._copy_state())


def _sample_planes(rng):
  """Samples the floor and up to four walls, as MJCF elements.

  A plane is visible from its front only; the fronts of the walls face the
  middle.
  """
  num_walls = rng.choice([0, 0, 1, 2, 4, 4, 4])
  heading = rng.uniform(0, 2 * math.pi)
  distances = rng.uniform(2.4, 4.0, 4)
  planes = ['<geom type="plane" size="0 0 1" group="1"/>']
  for distance in distances[:num_walls].tolist():
    x, y = math.cos(heading), math.sin(heading)
    planes.append(
        '<geom type="plane" size="0 0 1" group="1" '
        f'pos="{-x * distance!r} {-y * distance!r} 0" zaxis="{x!r} {y!r} 0"/>'
    )
    heading += math.pi / 2
  return planes


def _sample_bodies(rng, num, energy):
  """Samples objects.

  Args:
    rng: random generator.
    num: number of objects O, at most 9.
    energy: probability that an object starts in the air, in [0, 1].

  Returns:
    positions (x, y) at which the objects start, float64 [O, 2], metres; and the
    objects as MJCF elements.
  """
  # One object in a cell of a 3 x 3 grid, so that none overlap at the start.
  cells = rng.permutation(9)[:num]
  spots = np.stack([cells % 3 - 1.0, cells // 3 - 1.0], 1) * 1.15
  spots += rng.uniform(-0.1, 0.1, (num, 2))
  bodies = []
  for x, y in spots.tolist():
    shape = _SHAPES[rng.integers(len(_SHAPES))]
    size = rng.uniform(0.17, 0.36, 3) * (1.2 if shape == 'sphere' else 1.0)
    is_airborne = rng.random() < energy
    z = 0.65 + (rng.uniform(0.2, 1.8) if is_airborne else 0.0)
    bodies.append(
        f'<body pos="{x!r} {y!r} {z!r}" quat="{_numbers(rng.normal(size=4))}">'
        f'<freejoint/><geom type="{shape}" size="{_numbers(size)}" '
        f'solref="0.02 {rng.uniform(0.25, 1.0)!r}"/></body>'
    )
  return spots, bodies


def _numbers(values):
  """Returns numbers as an MJCF attribute, to the last bit."""
  return ' '.join(map(repr, values.tolist()))


def _towards_middle(places, turn, speed):
  """Returns horizontal velocities, turned away from the way to the middle.

  Args:
    places: positions (x, y), float64 [N, 2], metres.
    turn: angles between the velocities and the way to the middle, float64 [N],
      radians.
    speed: lengths of the velocities, float64 [N], metres per second.

  Returns:
    float64 [N, 2], metres per second.
  """
  angle = np.arctan2(-places[:, 1], -places[:, 0]) + turn
  return np.stack([np.cos(angle), np.sin(angle)], 1) * speed[:, None]
