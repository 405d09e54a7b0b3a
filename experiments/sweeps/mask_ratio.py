"""Share of a target's patches that are hidden: 5 jobs.

Of the 256 patches of a target frame, 64, 26, 13, 5 and 3 stay visible.
"""


def sweep():
  """Yields the overrides of each run of the sweep."""
  for mask_ratio in (0.75, 0.9, 0.95, 0.98, 0.99):
    yield {'mask_ratio': mask_ratio}
