"""Style sheet and script of a gallery's page; colours of all pages."""

# Media query for windows that have room for three columns.
IS_WIDE = '(min-width: 48rem)'

# Colours, for light and for dark surroundings.
PALETTE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --ink: #1c1e22; --quiet: #5a5f68; --line: #e0ddd6;
  --accent: #0b5fa5; --ground: #16181c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #101216; --ink: #e8e6e1; --quiet: #a4a9b2; --line: #2c3037;
    --accent: #7dbcf5; --ground: #16181c;
  }
}
"""

CSS = (
    PALETTE
    + """* { box-sizing: border-box; margin: 0; }
body {
  background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
  max-width: 78rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 3rem);
  overflow-wrap: anywhere; -webkit-text-size-adjust: 100%;
}
header { padding: clamp(2.5rem, 7vw, 5rem) 0 2rem; }
h1 {
  font-size: clamp(1.9rem, 5vw, 2.9rem); line-height: 1.12; font-weight: 650;
  letter-spacing: -0.022em; text-wrap: balance;
}
h2 { font-size: 1.5rem; line-height: 1.25; letter-spacing: -0.012em; }
h3 { font-size: 1.05rem; margin: 0 0 0.35rem; }
header p, .about { max-width: 42rem; }
header p { margin: 1rem 0 0; font-size: 1.1rem; }
a { color: var(--accent); text-underline-offset: 0.15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
.facts {
  display: grid; gap: 1rem 2rem; margin: 2rem 0 0; padding: 1.25rem 0 0;
  border-top: 1px solid var(--line);
  grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr));
}
.facts div.long { grid-column: span 2; }
dt { font-weight: 600; }
.facts dt { color: var(--quiet); font-size: 0.85rem; font-weight: 400; }
.facts dd { font-size: 0.95rem; }
nav ul {
  display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; padding: 0 0 1.5rem;
  list-style: none;
}
section { border-top: 1px solid var(--line); padding: 2.5rem 0 3.5rem; }
.about { color: var(--quiet); margin: 0.3rem 0 0; }
video, .sheet img, .reconstruction img {
  display: block; max-width: 100%; height: auto; border-radius: 6px;
}
video {
  width: 100%; aspect-ratio: var(--tall); max-height: 90vh;
  margin-top: 1.5rem; background: var(--ground);
}
.panels { display: grid; gap: 0.9rem 2rem; margin-top: 1.25rem; }
.panels dd, .reconstruction p, .change p, .sheet p {
  color: var(--quiet); font-size: 0.95rem;
}
.reconstruction, .change, .sheet { margin-top: 2.25rem; }
.reconstruction > p, .change > p { max-width: 48rem; }
.plot {
  display: grid; grid-template-columns: auto minmax(0, 1fr);
  gap: 0.3rem 0.7rem; margin: 1rem 0.6rem 0 0;
  color: var(--quiet); font-size: 0.8rem; line-height: 1;
  font-variant-numeric: tabular-nums;
}
.high {
  display: flex; flex-direction: column; justify-content: space-between;
  text-align: right; margin: -0.4rem 0;
}
.field { position: relative; height: 9rem; }
.field svg { display: block; width: 100%; height: 100%; overflow: visible; }
.field path, .field polyline { fill: none; vector-effect: non-scaling-stroke; }
.field path { stroke: var(--line); }
.field polyline {
  stroke: var(--accent); stroke-width: 2; stroke-linejoin: round;
}
.cursor {
  position: absolute; inset: 0 auto 0 0; border-left: 1px solid var(--ink);
}
.along { grid-column: 2; position: relative; height: 1rem; }
.along span {
  position: absolute; transform: translateX(-50%); white-space: nowrap;
}
.reconstruction ol { list-style: none; padding: 0; margin: 1rem 0 0; }
.reconstruction li { display: grid; gap: 0.2rem 1.5rem; margin-top: 0.8rem; }
.reconstruction img { width: 100%; background: var(--ground); }
sub { line-height: 0; }
.sheet img { border: 1px solid var(--line); }
.sheet a { display: block; margin-top: 0.8rem; max-width: 46rem; }
footer {
  border-top: 1px solid var(--line); padding: 1.5rem 0 4rem;
  color: var(--quiet); font-size: 0.9rem;
}
footer p { max-width: 48rem; }
@media """
    + IS_WIDE
    + """ {
  video { aspect-ratio: var(--wide); }
  .panels { grid-template-columns: repeat(3, 1fr); }
  .reconstruction li { grid-template-columns: 11rem minmax(0, 1fr); }
}
"""
)

# The upright line in the plot follows the video. Readers whose system asks for
# reduced motion start the video themselves.
SCRIPT = """
const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
for (const section of document.querySelectorAll('section')) {
  const video = section.querySelector('video');
  const cursor = section.querySelector('.cursor');
  const last = video.dataset.frames - 1;
  const follow = (now, {mediaTime}) => {
    const frame = Math.min(last, Math.round(mediaTime * video.dataset.rate));
    cursor.style.left = `${100 * frame / last}%`;
    video.requestVideoFrameCallback(follow);
  };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(follow);
  if (still) {
    video.autoplay = false;
    video.pause();
  }
}
"""
