"""Writes the page of the demo: one HTML file with its pictures and movies."""

import base64
from collections.abc import Mapping, Sequence
import dataclasses
import html
from typing import Any

from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import demo_style
from rvm_jax.evals.scenes import history as history_lib
from rvm_jax.evals.scenes import score_cards
from rvm_jax.evals.scenes import verdicts
from rvm_jax.viz import plots
from rvm_jax.viz import style


@dataclasses.dataclass(frozen=True)
class Movie:
  """A movie of one scene, in two layouts.

  Attributes:
    name: title of the scene.
    wide: contents of the movie file for wide windows.
    tall: contents of the movie file for narrow windows.
    wide_size: height and width of `wide` in pixels.
    tall_size: height and width of `tall` in pixels.
  """

  name: str
  wide: bytes
  tall: bytes
  wide_size: tuple[int, int]
  tall_size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Contents:
  """What the page shows.

  Attributes:
    workdir: path of the run's folder.
    facts: facts about the run, as plain text by name.
    history: scalars of the run; None if it has written none.
    reconstructions: contents of PNG files with reconstructions, by the step
      after which they were made, in ascending order.
    movies: movies of tracked masks.
    panels: what each panel of the movies shows, by the caption of the panel.
    masks: results of `masks.score_all` by the name of their row;
      `verdicts.TRAINED` is one of the names.
    about_masks: sentence about the scenes of `masks`.
    rows: `rows` in the reports of `benchmark.evaluate`, by the names of
      `verdicts`.
    scores: `scores` in the reports of `benchmark.evaluate`, by the names of
      `verdicts`.
    about_scores: sentence about the clips of `scores`.
  """

  workdir: str
  facts: Mapping[str, str]
  history: history_lib.History | None
  reconstructions: Mapping[int, bytes]
  movies: Sequence[Movie]
  panels: Mapping[str, str]
  masks: Mapping[str, Mapping[str, Any]]
  about_masks: str
  rows: Mapping[str, Sequence[Mapping[str, Any]]]
  scores: Mapping[str, Mapping[str, float]]
  about_scores: str


def write(contents: Contents) -> str:
  """Returns the page as HTML, which needs no network and no other file."""
  # Write the parts that depend on the scores, then fill them into the page.
  tasks = verdicts.compare_tasks(contents.rows)
  masks = verdicts.compare_masks(contents.masks)
  facts = ''.join(
      f'<div{" class=long" if len(value) > 30 else ""}>'
      f'<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>'
      for name, value in contents.facts.items()
  )
  adds, lacks = verdicts.summarise(tasks, masks, contents.masks)
  cards = ''.join(
      score_cards.draw(task, contents.scores, tasks[task.name])
      for task in benchmark.TASKS
  )
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What the run has learned: {html.escape(contents.workdir)}</title>
<link rel="icon" href="data:,">
<style>{style.CSS}{demo_style.CSS}</style>
</head>
<body>
<header>
<h1>What the run has learned</h1>
<p>A recurrent video masked autoencoder was trained to fill in hidden patches of
later frames, without any labels. Its features are compared here with those of
the same network before training (“untrained”), and with the pixels of each
patch themselves (“raw pixels”), on generated scenes that it was not trained
on.</p>
<dl class="facts">{facts}</dl>
</header>
<main>
<section aria-label="Summary">
<div class="columns">
<div><h2>What training adds</h2>{_list(adds)}</div>
<div><h2>What it does not yet</h2>{_list(lacks)}</div>
</div>
<p class="about">A score is called better or worse if the 95 % interval of the
difference excludes zero, and level if it includes zero.</p>
</section>
<section aria-labelledby="training">
<h2 id="training">Training</h2>
{_training(contents)}
</section>
<section aria-labelledby="tracking">
<h2 id="tracking">Tracked masks</h2>
<p class="about">{html.escape(contents.about_masks)} The true masks of the first
frame are given. Each patch of a later frame takes the labels of the patches of
earlier frames whose features resemble its own most. Nothing is trained for
this.</p>
{''.join(map(_movie, contents.movies))}
<dl class="panels">{''.join(
    f'<div><dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd></div>'
    for name, text in contents.panels.items()
)}</dl>
{_mask_table(contents.masks, masks)}
</section>
<section aria-labelledby="scores">
<h2 id="scores">Eight scores</h2>
<p class="about">{html.escape(contents.about_scores)} A bar is the 95 % interval
of a score, and the mark in it is the score itself. The baseline ignores the
video.</p>
<div class="cards">{cards}</div>
</section>
</main>
<footer>
<p>J is the overlap of predicted and true regions: the area they share divided
by the area they cover together. F compares their outlines. J&amp;F is the mean
of the two. Intervals are bootstrapped over scenes or clips. They do not cover
the seed of the training. Run: {html.escape(contents.workdir)}</p>
</footer>
<script>{demo_style.SCRIPT}</script>
</body>
</html>
"""


def _list(sentences):
  """Returns a list of sentences as HTML."""
  items = ''.join(f'<li>{html.escape(text)}</li>' for text in sentences)
  return f'<ul>{items}</ul>'


def _training(contents):
  """Returns the loss curve and the reconstructions as HTML."""
  if contents.history is None:
    curve = (
        '<p>The run has no metrics.jsonl with losses, so they are unknown.</p>'
    )
  else:
    steps, losses = contents.history.steps, contents.history.losses
    curve = f"""<p>Mean squared error over the pixels of the frames to fill in,
with colours from 0 to 1, by step: {losses[0]:.4f} at step {steps[0]},
{losses[-1]:.4f} at step {steps[-1]}. The vertical scale is logarithmic.</p>
{plots.draw_curve(steps, losses, 'Training loss')}"""
  pictures = ''.join(
      f'<li><strong>Step {step}</strong><img loading="lazy"'
      f' src="{_data("image/png", png)}"'
      f' alt="Reconstructions of four clips after step {step}"></li>'
      for step, png in contents.reconstructions.items()
  )
  shown = f'<ol>{pictures}</ol>' if pictures else '<p>The run has none.</p>'
  return f"""<div class="change"><h3>Loss</h3>{curve}</div>
<div class="reconstruction"><h3>Reconstructions</h3>
<p>Each row shows a clip: the source frames, which the network sees whole, and
then for each target frame the patches that the network sees, its
reconstruction, and the true frame.</p>
{shown}</div>"""


def _movie(movie):
  """Returns a movie as HTML, of which the browser plays the fitting layout."""
  wide, tall = (
      f'{width} / {height}'
      for height, width in (movie.wide_size, movie.tall_size)
  )
  return f"""<video controls autoplay muted loop playsinline
 style="--wide: {wide}; --tall: {tall}"
 aria-label="{html.escape(movie.name)}: six panels, as the list below says">
<source src="{_data('video/mp4', movie.wide)}" type="video/mp4"
 media="{style.IS_WIDE}">
<source src="{_data('video/mp4', movie.tall)}" type="video/mp4">
</video>
"""


def _mask_table(results, comparisons):
  """Returns the table of J and J&F, with the comparisons and a caption.

  Args:
    results: results of `masks.score_all` by the name of their row.
    comparisons: comparisons of J&F, as returned by `verdicts.compare_masks`.
  """
  against = {found.against: found for found in comparisons}
  rows = ''
  for name, result in results.items():
    found = against.get(name)
    gain = (
        ''
        if found is None
        else score_cards.format_interval(found.low, found.high, '+.3f')
    )
    rows += (
        f'<tr{score_cards.mark(name)}><th scope="row">{html.escape(name)}</th>'
        f'<td>{result["j"]:.3f}</td><td>{result["j_and_f"]:.3f}</td>'
        f'<td>{gain}</td><td>{found.verdict if found else ""}</td></tr>'
    )
  return f"""<div class="scroll"><table class="scores">
<tr><th scope="col">features</th><th scope="col">region overlap J</th>
<th scope="col">J&amp;F</th><th scope="col">trained minus this, J&amp;F</th>
<th scope="col">trained is</th></tr>{rows}</table></div>
<p class="about">Higher is better, and 1 is perfect. Masks that stay are the
masks of the first frame in every frame: tracking that follows nothing. “On the
grid” they are rounded off to patches, as a prediction is.</p>"""


def _data(kind: str, contents: bytes) -> str:
  """Returns the contents of a file of a MIME type as a data URL."""
  return f'data:{kind};base64,{base64.b64encode(contents).decode()}'
