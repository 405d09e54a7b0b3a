"""Computes frame rates, and compares headers with what was decoded."""

import av


def frame_rate(timestamps: list[int | None], stream: av.VideoStream) -> float:
  """Returns the mean frames per second of a file.

  Args:
    timestamps: timestamps of the frames in the stream's time base, in any
      order; None for a frame without one.
    stream: the stream. If fewer than two timestamps differ, the result is the
      rate in its header, or 25 if the header has none.
  """
  times = [time for time in timestamps if time is not None]
  if len(times) > 1 and max(times) > min(times):
    seconds = (max(times) - min(times)) * stream.time_base
    return float((len(times) - 1) / seconds)
  return float(stream.average_rate or 25)


def shortfall(
    stream: av.VideoStream, num_frames: int, frame_rate: float
) -> str:
  """Returns a note if a header claims more than could be decoded, else ''.

  If the header has a number of frames, one frame too many is enough. If it has
  only a duration, that has to be longer by more than 1 s and more than 5 %,
  because durations are rounded.

  Args:
    stream: the stream whose header is compared.
    num_frames: number of frames that decode, at least 1.
    frame_rate: mean frames per second.
  """
  if stream.frames:
    if stream.frames > num_frames:
      return f'header claims {stream.frames} frames, {num_frames} decode'
    return ''
  claimed = (stream.container.duration or 0) / av.time_base
  seconds = num_frames / frame_rate
  if claimed > seconds + max(1, 0.05 * claimed):
    return f'header claims {claimed:.1f} s, {seconds:.1f} s decode'
  return ''
