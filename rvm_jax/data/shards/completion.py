"""Completes a packed set: statistics, contact sheet and metadata.

Every host tries to complete the set when it has packed its shards, and the one
that finds all shards complete does it. Two hosts may do so at the same time,
since both write the same bytes.
"""

import collections
from collections.abc import Mapping, Sequence
import json
import os
import shutil
import tempfile
from typing import Any

from rvm_jax.data.shards import contact_sheet
from rvm_jax.data.shards import layout
from rvm_jax.data.shards import plan
from rvm_jax.data.shards import schema
from rvm_jax.storage import files

# Name of the file that is written last: with it a packed set is complete.
NAME = 'rvm_clips.json'


def complete(
    folder: str,
    num_shards: int,
    settings: plan.Settings,
    sources: Sequence[str],
) -> dict[str, Any] | None:
  """Writes contact sheet, metadata and statistics if all shards are complete.

  Args:
    folder: folder of the packed set.
    num_shards: number of shards.
    settings: how the videos were cut, reduced and stored.
    sources: the folders, globs, manifests or videos that were packed.

  Returns:
    The contents of `rvm_clips.json`; None if a shard is not complete.

  Raises:
    ValueError: the set has no clips, because all videos were left out.
    OSError: a file cannot be written.
  """
  # The sizes of the shards' files are compared with their summaries; their
  # hashes were compared or computed by the hosts that packed them.
  summaries = []
  for number in range(num_shards):
    paths = layout.list_paths(folder, number, num_shards)
    summary = layout.read_summary(paths, is_verified=False)
    if summary is None:
      return None
    summaries.append(summary)
  statistics = _add_up(summaries)
  if not statistics['num_clips']:
    raise ValueError(
        f'{folder} holds no clips: all was left out, for the reasons in'
        f' {folder}/left_out-*.csv'
    )
  contents = {
      'schema_version': schema.SCHEMA_VERSION,
      'settings': settings.describe(),
      'sources': list(sources),
      'num_shards': num_shards,
      'files': {
          name: file['sha256']
          for summary in summaries
          for name, file in summary['files'].items()
      },
      'statistics': statistics,
  }
  # All files are written to a hidden folder first, and then moved one by one.
  scratch = tempfile.mkdtemp(prefix='.metadata.', suffix='.part', dir=folder)
  try:
    _write_sheet(folder, [s['num_clips'] for s in summaries], scratch)
    _write_metadata(folder, summaries, scratch)
    with open(os.path.join(scratch, NAME), 'w', encoding='utf-8') as file:
      json.dump(contents, file, indent=1, ensure_ascii=False)
    others = [name for name in os.listdir(scratch) if name != NAME]
    for name in [*sorted(others), NAME]:
      files.replace_whole(
          os.path.join(scratch, name), os.path.join(folder, name)
      )
  finally:
    shutil.rmtree(scratch)
  return contents


def describe(statistics: Mapping[str, Any]) -> str:
  """Returns the statistics of a packed set as text, one line for each.

  Args:
    statistics: the statistics, as `rvm_clips.json` has them.
  """
  num_clips, num_bytes = statistics['num_clips'], statistics['num_bytes']
  sizes = ', '.join(f'{k} ({n})' for k, n in statistics['sizes'].items())
  psnr = f'{statistics["psnr_mean"]:.1f} dB'
  if statistics['psnr_frames'] > 1:
    psnr += f', at least {statistics["psnr_min"]:.1f} dB'
  hours = statistics['hours']
  lines = {
      'clips': f'{num_clips}, {num_bytes / num_clips / 2**10:.4g} KiB each',
      'frames': f'{statistics["num_frames"]}, {hours:.3g} hours',
      'size': f'{num_bytes / 2**20:.4g} MiB',
      'frame sizes': sizes,
      f'PSNR of {statistics["psnr_frames"]} frames': psnr,
      'scene cuts': f'{statistics["num_cuts"]}',
      'left out': f'{statistics["num_left_out"]}, see left_out-*.csv',
  }
  return '\n'.join(f'{name}: {value}' for name, value in lines.items())


def _add_up(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Returns the statistics of a set, from the summaries of its shards."""
  sizes: collections.Counter = collections.Counter()
  for summary in summaries:
    sizes.update(summary['sizes'])
  psnr = [value for summary in summaries for value in summary['psnr']]
  counts = ('num_clips', 'num_frames', 'num_bytes', 'num_left_out', 'num_cuts')
  return {
      **{name: sum(s[name] for s in summaries) for name in counts},
      'hours': sum(s['seconds'] for s in summaries) / 3600,
      'sizes': dict(sizes.most_common()),
      'psnr_frames': len(psnr),
      'psnr_mean': sum(psnr) / max(1, len(psnr)),
      'psnr_min': min(psnr, default=0.0),
  }


def _write_metadata(
    folder: str, summaries: Sequence[Mapping[str, Any]], scratch: str
):
  """Writes the files that tensorflow-datasets needs to open the set.

  Args:
    folder: folder of the packed set.
    summaries: summaries of the shards.
    scratch: folder to write to.
  """
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core import dataset_info
  from tensorflow_datasets.core import naming

  identity = dataset_info.DatasetIdentity(
      name=layout.DATASET,
      version=tfds.core.Version(f'{schema.SCHEMA_VERSION}.0.0'),
      data_dir=folder,
      module_name='',
  )
  info = tfds.core.DatasetInfo(
      builder=identity,
      features=schema.features(),
      description='Clips of videos, packed by rvm_jax.data.shards.',
  )
  info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
  split = tfds.core.SplitInfo(
      name='train',
      shard_lengths=[summary['num_clips'] for summary in summaries],
      num_bytes=sum(summary['num_bytes'] for summary in summaries),
      filename_template=naming.ShardedFileTemplate(
          data_dir=folder,
          dataset_name=layout.DATASET,
          split='train',
          filetype_suffix='array_record',
      ),
  )
  info.set_splits(tfds.core.SplitDict([split]))
  info.write_to_directory(scratch)


def _write_sheet(folder: str, nums_clips: Sequence[int], scratch: str):
  """Draws the contact sheet.

  Args:
    folder: folder of the packed set.
    nums_clips: number of clips of each shard.
    scratch: folder to write to.
  """
  from array_record.python import array_record_module

  # `chosen` counts the clips of the whole set; `places` are those of the chosen
  # clips that lie in a shard, counted from its first clip.
  frames, names, first = [], [], 0
  chosen = contact_sheet.choose(sum(nums_clips))
  for number, num_clips in enumerate(nums_clips):
    places = [i - first for i in chosen if first <= i < first + num_clips]
    first += num_clips
    if not places:
      continue
    path = layout.list_paths(folder, number, len(nums_clips)).records
    records = array_record_module.ArrayRecordReader(path)
    for record in records.read(places):
      example = schema.features().deserialize_example_np(record)
      middle = example['num_frames'] // 2
      frames.append(schema.read(example, [middle])[0])
      names.append(example['video'].decode())
    records.close()
  sheet = contact_sheet.draw(frames, names)
  sheet.save(os.path.join(scratch, 'contact_sheet.jpg'), quality=90)
