"""Rays in a MuJoCo world: the nearest surface, shadows and visibility.

Objects are intersected by `mujoco.mj_multiRay`, which needs no OpenGL. Planes,
which MuJoCo shows from their front only, are intersected here: their inverse
depth is linear over the image. Rays that pass no object's bounding sphere are
not handed to MuJoCo.
"""

import math

import mujoco
import numpy as np

_OBJECTS = np.array([1, 0, 0, 0, 0, 0], np.uint8)  # Their geom group.
_SPARE = 1.02  # Bounding spheres are taken this much too large.


class View:
  """One moment of a world, seen by one camera.

  A ray is given by its (x, y) at depth 1 in the camera's frame.

  Args:
    world: a physics.World.
    data: its MuJoCo state.
    pose: camera-to-world matrix, float64 [4, 4]; x right, y down, z forward.
    focal_length: in pixels.
  """

  def __init__(self, world, data, pose, focal_length):
    self._model, self._data = world.model, data
    self._pixel = 1 / focal_length
    self.eye, self._rotation = pose[:3, 3].copy(), pose[:3, :3]
    num = world.num_planes
    self._centers = data.geom_xpos[num:]
    self._radii = world.model.geom_rbound[num:] * _SPARE
    normals = data.geom_xmat[:num, 2::3]
    heights = ((self.eye - data.geom_xpos[:num]) * normals).sum(1)
    self._planes = [
        (k, (-normals[k] / heights[k] @ self._rotation).tolist())
        for k in range(num)
        if heights[k] > 0
    ]

  def directions(self, x, y):
    """World directions of rays, three float32 [N], of unit depth."""
    return [a * x + b * y + c for a, b, c in self._rotation.tolist()]

  def find_objects(self, x, y):
    """Where objects may be seen: bool [H, W], for rays of columns x, rows y."""
    near = np.zeros((len(y), len(x)), bool)
    centers = (self._centers - self.eye) @ self._rotation
    for (cx, cy, cz), radius in zip(centers.tolist(), self._radii.tolist()):
      columns = np.searchsorted(x, _span(cx, cz, radius, self._pixel))
      rows = np.searchsorted(y, _span(cy, cz, radius, self._pixel))
      near[slice(*rows.tolist()), slice(*columns.tolist())] = True
    return near

  def cast(self, x, y, directions, near):
    """Finds the nearest surface along rays, float32 [N].

    Args:
      near: bool [N], which rays may meet objects.

    Returns:
      indices of geoms [N], ngeom in the sky; inverse depths float32 [N], 0 in
      the sky; which rays meet objects, indices [M]; the objects' normals there,
      float64 [M, 3].
    """
    inverse = np.zeros_like(x)
    surface = np.full(x.shape, self._model.ngeom)
    for plane, (a, b, c) in self._planes:
      here = a * x + b * y + c
      np.copyto(surface, plane, where=here > inverse)
      np.maximum(inverse, here, out=inverse)
    rays = np.flatnonzero(near)
    if not rays.size:
      return surface, inverse, rays, np.empty((0, 3))
    normals = np.empty((rays.size, 3))
    geoms, depths = cast(
        self._model,
        self._data,
        self.eye,
        np.stack([w[rays] for w in directions], 1),
        _OBJECTS,
        normals,
    )
    hit = np.flatnonzero((geoms >= 0) & (depths * inverse[rays] < 1))
    rays = rays[hit]
    surface[rays] = geoms[hit]
    inverse[rays] = 1 / depths[hit]
    return surface, inverse, rays, normals[hit]

  def find_shadows(self, lamp, to_lamp, distance2, is_lit):
    """Indices of the points that an object keeps from the lamp.

    Args:
      lamp: float64 [3], where it is.
      to_lamp: three float32 [N], from each point; distance2 [N], its square.
      is_lit: bool [N], which points to consider.
    """
    near = np.zeros(is_lit.shape, bool)
    x, y, z = to_lamp
    axes = lamp - self._centers
    rests = (axes * axes).sum(1) - self._radii**2
    for (a, b, c), rest in zip(axes.tolist(), rests.tolist()):
      along = a * x + b * y + c * z
      along *= along
      along /= rest
      near |= along > distance2
    points = np.flatnonzero(near & is_lit)
    if not points.size:
      return points
    geoms, along = cast(
        self._model,
        self._data,
        lamp,
        np.stack([-v[points] for v in to_lamp], 1),
        _OBJECTS,
    )
    # A surface does not shade itself: half a thousandth of some 12 m.
    return points[(geoms >= 0) & (along < 1 - 5e-4)]


def cast(model, data, origin, vectors, groups=None, normals=None):
  """Casts rays from one point, as `mujoco.mj_multiRay`.

  Args:
    origin: float64 [3]; vectors: [N, 3], of any length.
    groups: uint8 [6], the geom groups that are seen; None for all.
    normals: float64 [N, 3], filled with unit normals if given.

  Returns:
    geoms int32 [N], -1 where nothing is hit; distances float64 [N] in lengths
    of the vector, -1 where nothing is hit.
  """
  num = len(vectors)
  geoms, distances = np.empty(num, np.int32), np.empty(num)
  mujoco.mj_multiRay(
      model,
      data,
      origin,
      vectors.astype(np.float64).ravel(),
      groups,
      True,
      -1,
      geoms,
      distances,
      None if normals is None else normals.reshape(-1),
      num,
      mujoco.mjMAXVAL,
  )
  return geoms, distances


def _span(center, depth, radius, margin):
  """The range of x at depth 1 that a sphere covers, seen from the origin."""
  distance = math.hypot(center, depth)
  if distance <= radius:
    return -math.inf, math.inf
  angle, half = math.atan2(center, depth), math.asin(radius / distance)
  low, high = angle - half, angle + half
  right = math.pi / 2
  return (
      math.tan(low) - margin if -right < low < right else -math.inf,
      math.tan(high) + margin if -right < high < right else math.inf,
  )
