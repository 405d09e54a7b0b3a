"""The page of a gallery: one file of HTML beside its videos and pictures."""

from collections.abc import Mapping, Sequence
import dataclasses
import html
import urllib.parse

import numpy as np

from rvm_jax.viz import panels
from rvm_jax.viz import plots
from rvm_jax.viz import style


@dataclasses.dataclass(frozen=True)
class Painting:
  """What is said of a video's reconstructions.

  Attributes:
    frames: the first and the last frame that the model painted.
    shown: patches that it saw of each.
    num_patches: N, patches of a frame.
    error: mean squared error, colours from 0 to 1.
    copy_error: the error of showing the last source frame instead.
    size: height and width in pixels of the pictures of a row.
  """

  frames: tuple[int, int]
  shown: int
  num_patches: int
  error: float
  copy_error: float
  size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Section:
  """What the page says of one video.

  Attributes:
    name: of the video, for people.
    about: sentences about it.
    stem: its files are `stem`-wide.mp4, `stem`.png and so on.
    num_frames: T.
    wide_size, tall_size, sheet_size: height and width in pixels of the movie
      for wide windows, of that for narrow ones, and of the still sheet.
    change: float [T - 1], the mean over the patches from the second frame on.
    full_state_change, full_pixel_change: what has the brightest colour.
    painting: a Painting, or a sentence why there is none.
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
  painting: Painting | str


def write(
    facts: Mapping[str, str], sections: Sequence[Section], rate: int
) -> str:
  """The page as HTML that needs no network and no server.

  Args:
    facts: about the model: name -> plain text.
    sections: one a video, with different stems.
    rate: frames per second of the movies.
  """
  listed = ''
  if len(sections) > 1:
    items = ''.join(
        f'<li><a href="#{_url(s.stem)}">{html.escape(s.name)}</a></li>'
        for s in sections
    )
    listed = f'<nav aria-label="Videos"><ul>{items}</ul></nav>'
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
<p>A recurrent video masked autoencoder read each video on this page once, frame
by frame, and kept a state as it went. The pictures show that state. Nobody
labelled anything: colours and groups come from the model’s features alone.</p>
<dl class="facts">{about_model}</dl>
</header>
{listed}
<main>
{videos}
</main>
<footer>
<p>Components are the first three principal components, whitened, of the
features of all patches of all frames shown of a video, each stretched over its
range. Clusters are those of k-means with five centres on the same features.
The change of state of a patch is |s<sub>t</sub> − s<sub>t−1</sub>| /
|s<sub>t−1</sub>|; that of its pixels is the root of the mean squared
difference, white against black being 100 %. Each video has a scale of its own
for either.</p>
</footer>
<script>{style.SCRIPT}</script>
</body>
</html>
"""


def _section(section: Section, rate: int) -> str:
  stem, name = _url(section.stem), html.escape(section.name, quote=True)
  ratio = lambda size: f'{size[1]} / {size[0]}'
  captions = ''.join(
      f'<div><dt>{term}</dt><dd>{text}</dd></div>'
      for term, text in _captions(section).items()
  )
  plot = plots.draw_line(section.change, 1, 'Mean change of state')
  return f"""<section id="{stem}" aria-labelledby="{stem}-name">
<h2 id="{stem}-name">{name}</h2>
<p class="about">{html.escape(section.about)}</p>
<video controls autoplay muted loop playsinline
 data-frames="{section.num_frames}" data-rate="{rate}"
 style="--wide: {ratio(section.wide_size)}; --tall: {ratio(section.tall_size)}"
 aria-label="{name}: six panels side by side, as the list below describes">
<source src="{stem}-wide.mp4" type="video/mp4" media="{style.IS_WIDE}">
<source src="{stem}-tall.mp4" type="video/mp4">
</video>
<dl class="panels">{captions}</dl>
<div class="change">
<h3>Change of state over time</h3>
<p>The mean over all patches, each step of the scale a factor of ten. The state
fills up in the first frames; after that it changes where the video does. The
upright line is the frame that the video shows.</p>
{plot}
</div>
<div class="painted">
<h3>Masked reconstructions</h3>
{_painting(section)}
</div>
<div class="sheet">
<h3>Still sheet</h3>
<p>The same panels at moments of the video. Select it for full size.</p>
<a href="{stem}.png"><img src="{stem}.png" width="{section.sheet_size[1]}"
 height="{section.sheet_size[0]}" loading="lazy"
 alt="{name}: the six panels as rows, moments of the video as columns"></a>
</div>
</section>"""


def _captions(section: Section) -> dict[str, str]:
  state = f'{100 * section.full_state_change:.3g} %'
  pixels = f'{100 * section.full_pixel_change:.3g} %'
  return {
      panels.VIDEO: 'The frames, as the model read them.',
      panels.COMPONENTS: (
          'The three directions along which the features of this video differ'
          ' most, as red, green and blue. Patches of like colour have like'
          ' features; which colour it is means nothing.'
      ),
      panels.CLUSTERS: (
          'Five groups of like features, found over all frames together. Where'
          ' the model follows a thing, the thing keeps its colour as it moves.'
      ),
      panels.OVERLAY: 'The clusters over the video, half and half.',
      panels.STATE_CHANGE: (
          'How far the state of each patch moved since the frame before: black'
          f' is not at all, pale yellow {state} of its length or more.'
      ),
      panels.PIXEL_CHANGE: (
          'For comparison, how much the pixels themselves changed: pale yellow'
          f' is {pixels} of the way from black to white, or more.'
      ),
  }


def _painting(section: Section) -> str:
  painting = section.painting
  if isinstance(painting, str):
    return f'<p>{html.escape(painting)}</p>'
  first, last = painting.frames
  hidden = 1 - painting.shown / painting.num_patches
  height, width = painting.size
  rows = ''.join(
      f"""<li><div><strong>{term}</strong><p>{text}</p></div>
<img src="{_url(section.stem)}-{kind}.png" width="{width}" height="{height}"
 alt="Frames {first} to {last}. {term}: {text}" loading="lazy"></li>
"""
      for kind, term, text in (
          (
              'seen',
              'Seen',
              f'{painting.shown} of {painting.num_patches} patches of each.',
          ),
          ('painted', 'Painted', 'What the model made of that.'),
          ('true', 'True', f'Frames {first} to {last} of the video.'),
      )
  )
  return f"""<p>The model read frames 0 to {first - 1} whole. Of the next
{last - first + 1} frames {100 * hidden:.0f} % of the patches were hidden; it
painted them from its states and the patches left. Mean squared error:
{painting.error:.4f}. Showing frame {first - 1} again instead:
{painting.copy_error:.4f}.</p>
<ol>{rows}</ol>"""


def _url(name: str) -> str:
  return html.escape(urllib.parse.quote(name), quote=True)
