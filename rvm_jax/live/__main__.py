"""Shows a camera or a video in a browser, as the model sees it.

  python -m rvm_jax.live --video FILE --checkpoint PATH
  python -m rvm_jax.live --camera --checkpoint PATH

Serves a page that only this machine can open, and prints its address. The page
shows the frames beside the colours of their features, and tracks what you
click. Every frame is folded into the model's state once, at a constant cost. A
file is played at its own speed, or slower if the model is. docs/live.md
describes the page. Ctrl-C ends the command.

Exit codes: 0 after Ctrl-C; 2 when an input is wrong.
"""

import argparse
from collections.abc import Sequence
import contextlib
import sys

import jax

from rvm_jax import streaming
from rvm_jax.baselines import encoder as encoder_lib
from rvm_jax.live import frames
from rvm_jax.live import player as player_lib
from rvm_jax.live import server as server_lib


def main(arguments: Sequence[str] | None = None) -> int:
  """Serves the page until it is interrupted.

  Args:
    arguments: command-line arguments; None takes those of the process.

  Returns:
    The exit code.
  """
  options = _parse(arguments)
  try:
    if encoder_lib.parse(options.checkpoint):
      raise ValueError(
          f'--checkpoint={options.checkpoint}: only an RVM has a state to show;'
          ' give what `rvm_jax.load` reads. `rvm_jax.viz` takes its rivals too'
      )
    encoder_lib.check_name(options.checkpoint)
    # The port and the video or camera may fail at once. They are opened first,
    # because loading the model takes time.
    with contextlib.ExitStack() as stack:
      server = stack.enter_context(server_lib.Server(options.port))
      source = (
          frames.Camera(options.camera)
          if options.video is None
          else frames.VideoFile(options.video)
      )
      stack.callback(source.close)
      print(f'{source.name}: loading {options.checkpoint}', flush=True)
      encoder = streaming.load(options.checkpoint)
      player = player_lib.Player(source, encoder, options.size)
      print(f'Open {server.url} (Ctrl-C ends)', flush=True)
      server.serve(player, source.name, _describe(encoder, player.view))
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print()
  return 0


def _parse(arguments):
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.live',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument(
      '--video', metavar='FILE', help='video file or folder of pictures'
  )
  source.add_argument(
      '--camera',
      nargs='?',
      const='',
      metavar='DEVICE',
      help='camera to show, by its name for FFmpeg; without a name, the first'
      ' one (Linux: /dev/video0)',
  )
  parser.add_argument(
      '--checkpoint',
      required=True,
      metavar='PATH',
      help='anything that `rvm_jax.load` reads, with or without a decoder',
  )
  parser.add_argument(
      '--port',
      type=int,
      default=0,
      help='port of the page (default: one that is free)',
  )
  parser.add_argument(
      '--size',
      type=int,
      nargs=2,
      metavar=('HEIGHT', 'WIDTH'),
      help='crop and resize frames to this many pixels, multiples of the patch'
      ' (default: 16 patches on the shorter side)',
  )
  options = parser.parse_args(arguments)
  if not 0 <= options.port < 2**16:
    parser.error(f'--port must lie in 0..65535, got {options.port}')
  return options


def _describe(encoder, view) -> str:
  """Returns sentences about the model and the size of its frames."""
  patch = encoder.model.patch
  count = sum(array.size for array in jax.tree.leaves(encoder.params))
  return (
      f'RVM of {count / 1e6:,.1f} million parameters. It sees'
      f' {view.width} × {view.height} pixels as'
      f' {view.width // patch} × {view.height // patch} patches.'
  )


if __name__ == '__main__':
  sys.exit(main())
