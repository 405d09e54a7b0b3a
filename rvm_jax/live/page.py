"""The page: video and features side by side, and what to do with them."""

import base64
import hashlib
import html

from rvm_jax.live import script
from rvm_jax.viz import style

_CSS = style.PALETTE + """
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
  max-width: 88rem; margin: 0 auto; padding: 1.5rem clamp(0.75rem, 3vw, 2.5rem);
  overflow-wrap: anywhere; -webkit-text-size-adjust: 100%;
}
h1 { font-size: 1.5rem; line-height: 1.2; letter-spacing: -0.015em; }
header p, figcaption, .keys { color: var(--quiet); font-size: 0.9rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
.panels {
  display: grid; gap: 1rem; margin: 1.25rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
}
figcaption { margin-bottom: 0.35rem; }
figcaption b { color: var(--ink); }
/* The width keeps the controls in the window, whatever the picture's shape. */
.stage {
  position: relative; overflow: hidden; border-radius: 8px;
  background: var(--ground); cursor: crosshair; touch-action: manipulation;
  aspect-ratio: var(--shape, 4 / 3);
  width: min(100%, calc(62vh * (var(--ratio, 1.33)))); margin: 0 auto;
}
.stage img, .stage svg {
  position: absolute; inset: 0; width: 100%; height: 100%; display: block;
}
.stage img:not([src]) { visibility: hidden; }
.patches { image-rendering: pixelated; }
.stage svg { pointer-events: none; }
.stage path { fill: none; vector-effect: non-scaling-stroke; }
.halo { stroke: #000a; stroke-width: 6; }
.cross { stroke-width: 3; }
.stage text {
  font-weight: 700; paint-order: stroke; stroke: #000a; fill: #fff;
  stroke-width: 0.2em; stroke-linejoin: round;
}
.aim { stroke: #fff; stroke-width: 2; visibility: hidden; }
.stage:focus-visible .aim { visibility: visible; }
.bar { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
button {
  font: inherit; font-weight: 550; color: var(--ink); background: transparent;
  border: 1px solid var(--line); border-radius: 8px; min-height: 2.75rem;
  padding: 0.3rem 0.9rem; cursor: pointer;
}
button:hover { border-color: var(--accent); }
#play {
  background: var(--accent); border-color: var(--accent); color: var(--paper);
  min-width: 6.5rem;
}
kbd {
  font: 0.75rem/1 ui-monospace, monospace; border: 1px solid var(--line);
  border-radius: 4px; padding: 0.1rem 0.3rem; white-space: nowrap;
}
dl { display: flex; flex-wrap: wrap; gap: 0.2rem 1.5rem; margin-left: auto; }
dl div { display: flex; gap: 0.4rem; align-items: baseline; }
dt { color: var(--quiet); font-size: 0.9rem; }
dd { font-weight: 600; font-variant-numeric: tabular-nums; }
#tracks {
  display: flex; flex-wrap: wrap; gap: 0.3rem 1.25rem; padding: 0;
  list-style: none; margin: 1rem 0 0; min-height: 1.5rem;
}
#tracks i {
  display: inline-block; width: 0.8rem; height: 0.8rem; border-radius: 50%;
  margin-right: 0.4rem;
}
#message { min-height: 1.5rem; margin: 0.5rem 0; font-weight: 550; }
@media (max-width: 40rem) {
  kbd, .keys { display: none; }
  dl { margin: 0.25rem 0 0; }
  .stage { margin: 0; width: min(100%, calc(31vh * (var(--ratio, 1.33)))); }
}
"""


def _hash(text: str) -> str:
  """Returns the hash by which a policy allows an inline style or script."""
  digest = hashlib.sha256(text.encode()).digest()
  return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


# Content security policy: the browser may use what the page itself contains,
# and ask this server. It loads nothing else.
POLICY = (
    "default-src 'none'; img-src data:; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none';"
    f" style-src {_hash(_CSS)}; script-src {_hash(script.SCRIPT)}"
)


def write(title: str, about: str) -> str:
  """Returns the page as HTML.

  Args:
    title: name of the video or camera, as plain text.
    about: sentences about the model and the size of the frames, as plain text.
  """
  title, about = html.escape(title), html.escape(about)
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Live: {title}</title>
<link rel="icon" href="data:,">
<style>{_CSS}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{about}</p>
</header>
<main>
<div class="panels">
{_figure('video', 'Video', 'click what is to be tracked')}
{_figure('patches', 'Features', 'similar patches, similar colours')}
</div>
<div class="bar">
<button id="play">Pause</button>
<button id="step">Step <kbd>S</kbd></button>
<button id="clear">Clear <kbd>C</kbd></button>
<button id="recolour">New colours <kbd>N</kbd></button>
<button id="restart">Restart <kbd>R</kbd></button>
<dl>
<div><dt>frame</dt><dd id="number">–</dd></div>
<div><dt>frames/s</dt><dd id="rate">–</dd></div>
<div><dt>ms a frame</dt><dd id="milliseconds">–</dd></div>
</dl>
</div>
<ul id="tracks" aria-label="Tracks"></ul>
<p id="message" role="status"></p>
<p class="keys"><kbd>Space</kbd> pauses and plays. On a picture, the arrow keys
move a ring by one patch and <kbd>Enter</kbd> tracks what it surrounds.</p>
</main>
<script>{script.SCRIPT}</script>
</body>
</html>
"""


def _figure(kind: str, name: str, hint: str) -> str:
  return f"""<figure>
<figcaption><b>{name}</b> · {hint}</figcaption>
<div class="stage" tabindex="0" role="application" aria-label="{name}: arrow \
keys move a ring, Enter tracks what it surrounds">
<img class="{kind}" alt="" decoding="sync">
<svg preserveAspectRatio="none" aria-hidden="true"><path class="aim"/><g></g>\
</svg>
</div>
</figure>"""
