"""The page of a gallery: an HTML file that shows its movies and pictures."""

from collections.abc import Mapping, Sequence
import dataclasses
import html
import urllib.parse

import numpy as np

from rvm_jax.viz import panels
from rvm_jax.viz import plots
from rvm_jax.viz import style

ABOUT_RVM = (
    'A recurrent video masked autoencoder read each video on this page once,'
    ' frame by frame, and updated its state after every frame. The state holds'
    ' one vector for each patch of the frame, the patch’s features. Colours and'
    ' groups in the pictures come from these features alone; no labels were'
    ' used.'
)


@dataclasses.dataclass(frozen=True)
class ReconstructionSummary:
  """What the page states about the reconstructed frames of one video.

  Attributes:
    frames: first and last of the frames that the model reconstructed. It saw
      all frames before them whole.
    num_visible: number of patches that it saw of each reconstructed frame, V.
    num_patches: number of patches of a frame, N.
    error: mean squared error of the pixels in [0, 1].
    copy_error: the baseline, which is the mean squared error of repeating the
      frame before the reconstructed ones.
    size: height and width in pixels of a strip of frames.
  """

  frames: tuple[int, int]
  num_visible: int
  num_patches: int
  error: float
  copy_error: float
  size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Section:
  """What the page shows and states about one video.

  Attributes:
    name: title of the video.
    about: sentences about the video.
    stem: beginning of the files' names, which are `stem`-wide.mp4, `stem`.png
      and so on.
    num_frames: number of frames, T, at least 2.
    wide_size: height and width in pixels of the movie for wide windows.
    tall_size: height and width in pixels of the movie for narrow windows.
    sheet_size: height and width in pixels of the still sheet.
    change: mean change of state over the patches, from the second frame on,
      float [T - 1].
    full_state_change: change of state that has the brightest colour.
    full_pixel_change: change of pixels that has the brightest colour.
    reconstruction: summary of the reconstructed frames, or a sentence that says
      why there are none.
  """

  name: str
  about: str
  stem: str
  num_frames: int
  wide_size: tuple[int, int]
  tall_size: tuple[int, int]
  sheet_size: tuple[int, int]
  change: np.ndarray
  full_state_change: float
  full_pixel_change: float
  reconstruction: ReconstructionSummary | str


def write(
    facts: Mapping[str, str],
    sections: Sequence[Section],
    rate: int,
    about: str = ABOUT_RVM,
) -> str:
  """Returns the page as HTML, which needs no network and no server.

  Args:
    facts: facts about the model, as plain text by name.
    sections: one or more sections, one for each video, with different stems.
    rate: frames per second of the movies.
    about: sentences about how the model encodes a video, as plain text.
  """
  navigation = ''
  if len(sections) > 1:
    items = ''.join(
        f'<li><a href="#{_url(s.stem)}">{html.escape(s.name)}</a></li>'
        for s in sections
    )
    navigation = f'<nav aria-label="Videos"><ul>{items}</ul></nav>'
  about_model = ''.join(
      f'<div{" class=long" if len(value) > 30 else ""}>'
      f'<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>'
      for name, value in facts.items()
  )
  videos = '\n'.join(_section(section, rate) for section in sections)
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What the model sees: {html.escape(sections[0].name)}\
{' and others' if len(sections) > 1 else ''}</title>
<link rel="icon" href="data:,">
<style>{style.CSS}</style>
</head>
<body>
<header>
<h1>What the model sees</h1>
<p>{html.escape(about)}</p>
<dl class="facts">{about_model}</dl>
</header>
{navigation}
<main>
{videos}
</main>
<footer>
<p>Components are the first three principal components of the features, whitened
and each stretched over its range. They are computed from all patches of all
shown frames of a video together; the mean of each frame is subtracted before if
the model was trained with content_first. Clusters come from k-means with five
centres on the same features. The change of a patch’s state is |s<sub>t</sub> −
s<sub>t−1</sub>| / |s<sub>t−1</sub>|, where s<sub>t</sub> are its features after
frame t. The change of its pixels is the root mean squared difference; black
turning white is 100 %. Each video has its own colour scale for each of the two
changes.</p>
</footer>
<script>{style.SCRIPT}</script>
</body>
</html>
"""


def _section(section: Section, rate: int) -> str:
  stem, name = _url(section.stem), html.escape(section.name, quote=True)
  captions = ''.join(
      f'<div><dt>{term}</dt><dd>{text}</dd></div>'
      for term, text in _captions(section).items()
  )
  wide, tall = (
      f'{width} / {height}'
      for height, width in (section.wide_size, section.tall_size)
  )
  plot = plots.draw_line(section.change, 1, 'Mean change of state')
  return f"""<section id="{stem}" aria-labelledby="{stem}-name">
<h2 id="{stem}-name">{name}</h2>
<p class="about">{html.escape(section.about)}</p>
<video controls autoplay muted loop playsinline
 data-frames="{section.num_frames}" data-rate="{rate}"
 style="--wide: {wide}; --tall: {tall}"
 aria-label="{name}: six panels side by side, as the list below describes">
<source src="{stem}-wide.mp4" type="video/mp4" media="{style.IS_WIDE}">
<source src="{stem}-tall.mp4" type="video/mp4">
</video>
<dl class="panels">{captions}</dl>
<div class="change">
<h3>Change of state over time</h3>
<p>The plot shows the mean change over all patches in each frame. Each step of
the vertical scale is a factor of ten. In the first frames the state builds up
from zero; after that it changes where the video does. The upright line marks
the frame that the video is showing.</p>
{plot}
</div>
<div class="reconstruction">
<h3>Masked reconstructions</h3>
{_reconstruction(section)}
</div>
<div class="sheet">
<h3>Still sheet</h3>
<p>The same panels in a few frames of the video. Select the picture to see it in
full size.</p>
<a href="{stem}.png"><img src="{stem}.png" width="{section.sheet_size[1]}"
 height="{section.sheet_size[0]}" loading="lazy"
 alt="{name}: the six panels as rows, frames of the video as columns"></a>
</div>
</section>"""


def _captions(section: Section) -> dict[str, str]:
  state = f'{100 * section.full_state_change:.3g} %'
  pixels = f'{100 * section.full_pixel_change:.3g} %'
  return {
      panels.VIDEO: 'The frames, as the model read them.',
      panels.COMPONENTS: (
          'The three directions along which the features of this video vary'
          ' most, as red, green and blue. Patches with similar features have'
          ' similar colours; the colour itself has no meaning.'
      ),
      panels.CLUSTERS: (
          'Five groups of patches with similar features, found over all frames'
          ' together. Where the model follows an object, the object keeps its'
          ' colour as it moves.'
      ),
      panels.OVERLAY: 'The average of the video and the clusters.',
      panels.STATE_CHANGE: (
          'How far the state of each patch moved since the previous frame.'
          f' Black means not at all, pale yellow {state} of its length or more.'
      ),
      panels.PIXEL_CHANGE: (
          'For comparison, how much the pixels of each patch changed. Black'
          f' means not at all, pale yellow {pixels} of the way from black to'
          ' white or more.'
      ),
  }


def _reconstruction(section: Section) -> str:
  summary = section.reconstruction
  if isinstance(summary, str):
    return f'<p>{html.escape(summary)}</p>'
  first, last = summary.frames
  hidden = 1 - summary.num_visible / summary.num_patches
  height, width = summary.size
  rows = ''.join(
      f"""<li><div><strong>{term}</strong><p>{text}</p></div>
<img src="{_url(section.stem)}-{kind}.png" width="{width}" height="{height}"
 alt="Frames {first} to {last}. {term}: {text}" loading="lazy"></li>
"""
      for kind, term, text in (
          (
              'seen',
              'Seen by the model',
              (
                  f'{summary.num_visible} of {summary.num_patches} patches of'
                  ' each frame.'
              ),
          ),
          ('painted', 'Reconstructed', 'The model’s output.'),
          ('true', 'True', f'Frames {first} to {last} of the video.'),
      )
  )
  return f"""<p>The model read frames 0 to {first - 1} whole. In the next
{last - first + 1} frames {100 * hidden:.0f} % of the patches were hidden, and
the model reconstructed these frames from its states and the visible patches.
Mean squared error: {summary.error:.4f}. Showing frame {first - 1} again
instead: {summary.copy_error:.4f}.</p>
<ol>{rows}</ol>"""


def _url(name: str) -> str:
  return html.escape(urllib.parse.quote(name), quote=True)
