"""Rays in a MuJoCo world: the nearest surface, shadows and visibility.

`mujoco.mj_multiRay` intersects rays with objects; it needs no OpenGL. Planes,
which are visible from their front only, are intersected here: their inverse
depth is linear over the image. Rays that miss the bounding spheres of all
objects are not handed to MuJoCo.
"""

import math

import mujoco
import numpy as np

# A mask of MuJoCo's six geom groups that chooses group 0, the objects.
_OBJECTS = np.array([1, 0, 0, 0, 0, 0], np.uint8)
# Factor by which bounding spheres are enlarged, so that rounding loses no ray.
_SPARE = 1.02


class RayCaster:
  """Casts the rays of one camera into a world at one moment.

  A ray starts at the camera's centre and is given by the point (x, y, 1) that
  it passes in the camera's axes: x right, y down, z forward. This vector has
  depth 1, so distances along the ray, in lengths of the vector, are depths. N
  is the number of rays.

  Attributes:
    eye: the camera's centre in the world, float64 [3], metres.
  """

  def __init__(self, world, data, pose, focal_length):
    """Takes a world and a camera.

    Args:
      world: a physics.World.
      data: MuJoCo state of the world.
      pose: camera-to-world matrix, float64 [4, 4], metres.
      focal_length: focal length in pixels.
    """
    self._model, self._data = world.model, data
    self._pixel = 1 / focal_length
    self.eye, self._rotation = pose[:3, 3].copy(), pose[:3, :3]
    num = world.num_planes
    self._centers = data.geom_xpos[num:]
    self._radii = world.model.geom_rbound[num:] * _SPARE
    # A ray with direction r meets the plane with normal n, over which the eye
    # has the height h, at the inverse depth -(n . r) / h: a linear function
    # a x + b y + c of the ray. Planes whose back faces the eye are left out.
    normals = data.geom_xmat[:num, 2::3]
    heights = ((self.eye - data.geom_xpos[:num]) * normals).sum(1)
    self._planes = [
        (k, (-normals[k] / heights[k] @ self._rotation).tolist())
        for k in range(num)
        if heights[k] > 0
    ]

  def directions(self, x, y):
    """Turns rays (x, y, 1) into vectors in the axes of the world.

    Args:
      x: x of the rays, float32 [N].
      y: y of the rays, float32 [N].

    Returns:
      The three coordinates of the vectors, a list of float32 [N].
    """
    return [a * x + b * y + c for a, b, c in self._rotation.tolist()]

  def find_objects(self, x, y):
    """Finds the pixels of an image whose rays may meet an object.

    Args:
      x: x of the rays of each column, ascending, float32 [W].
      y: y of the rays of each row, ascending, float32 [H].

    Returns:
      bool [H, W], True in the rectangle around each object's bounding sphere.
    """
    near = np.zeros((len(y), len(x)), bool)
    centers = (self._centers - self.eye) @ self._rotation
    for (cx, cy, cz), radius in zip(centers.tolist(), self._radii.tolist()):
      columns = np.searchsorted(x, _span(cx, cz, radius, self._pixel))
      rows = np.searchsorted(y, _span(cy, cz, radius, self._pixel))
      near[slice(*rows.tolist()), slice(*columns.tolist())] = True
    return near

  def cast(self, x, y, directions, near):
    """Finds the nearest surface along each ray.

    Args:
      x: x of the rays, float32 [N].
      y: y of the rays, float32 [N].
      directions: these rays as returned by `directions`.
      near: whether a ray may meet an object, bool [N].

    Returns:
      surface: index of the geom that a ray meets, int [N]; the number of geoms
        where it meets nothing (the sky).
      inverse: inverse depths in 1 / m, float32 [N]; 0 in the sky.
      rays: indices of the M rays that meet an object first, int [M].
      normals: the objects' unit normals there, float64 [M, 3].
    """
    # The plane with the greatest inverse depth is the nearest.
    inverse = np.zeros_like(x)
    surface = np.full(x.shape, self._model.ngeom)
    for plane, (a, b, c) in self._planes:
      here = a * x + b * y + c
      np.copyto(surface, plane, where=here > inverse)
      np.maximum(inverse, here, out=inverse)
    rays = np.flatnonzero(near)
    if not rays.size:
      return surface, inverse, rays, np.empty((0, 3))
    # Objects, where they are nearer than the planes.
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
    """Finds the points that an object hides from the lamp.

    Args:
      lamp: position of the lamp in the world, float64 [3], metres.
      to_lamp: the vectors from the points to the lamp, as a list of their three
        coordinates, float32 [N] each.
      distance2: squared lengths of the vectors to the lamp, float32 [N].
      is_lit: whether a point faces the lamp, bool [N]. Only such points are
        looked at.

    Returns:
      Indices of the points in shadow, int [M].
    """
    # Only points in the cone from the lamp around an object's bounding sphere
    # can be in the object's shadow. Let v and a be the vectors from the point
    # and from the sphere's centre to the lamp, and r the sphere's radius. The
    # point is in the cone if (a . v)^2 / (|a|^2 - r^2) > |v|^2.
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
    # A surface does not shade itself: what is met within the last 0.05 % of the
    # way (6 mm of some 12 m) is the point's own surface.
    return points[(geoms >= 0) & (along < 1 - 5e-4)]


def cast(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    origin: np.ndarray,
    vectors: np.ndarray,
    groups: np.ndarray | None = None,
    normals: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """Casts rays from one point by `mujoco.mj_multiRay`.

  Args:
    model: MuJoCo model.
    data: MuJoCo state.
    origin: the point, float64 [3], metres.
    vectors: directions of the rays, float [N, 3], of any length.
    groups: which geom groups can be met, uint8 [6]; None for all.
    normals: array to fill with the unit normals where geoms are met, float64
      [N, 3]; None if they are not needed.

  Returns:
    geoms: indices of the geoms that are met first, int32 [N]; -1 for none.
    distances: distances to them in lengths of the vectors, float64 [N]; -1 for
      none.
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
  """Returns the least and greatest x, at depth 1, of rays that meet a sphere.

  These belong to the two rays that touch a circle, in the plane of x and depth.
  For y the computation is the same.

  Args:
    center: x (or y) of the sphere's centre in the camera's axes.
    depth: depth of the sphere's centre.
    radius: radius of the sphere.
    margin: by how much the span is widened at both ends.

  Returns:
    The two ends; infinite where the sphere reaches beside or behind the eye.
  """
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
