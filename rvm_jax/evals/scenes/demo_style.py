"""Style and script that the demo's page adds to those of `viz.style`."""

from rvm_jax.viz import style

CSS = (
    """
.columns, .cards { display: grid; gap: 2rem 3rem; }
.columns ul { padding-left: 1.2rem; margin: 0.8rem 0 1.2rem; }
.columns li { margin-top: 0.5rem; }
.reconstruction strong { font-size: 0.95rem; }
.scroll { overflow-x: auto; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 400; }
.scores th, .scores td {
  padding: 0.45rem 2rem 0.45rem 0; border-bottom: 1px solid var(--line);
  white-space: nowrap;
}
.scores th[scope=col] { color: var(--quiet); font-size: 0.85rem; }
.trained th, .trained td { font-weight: 650; }
.cards { margin-top: 2rem; }
article { border: 1px solid var(--line); border-radius: 8px; padding: 1.25rem; }
article p { color: var(--quiet); font-size: 0.95rem; }
article strong { font-weight: 600; color: var(--ink); }
.intervals { width: 100%; margin: 1rem 0; font-size: 0.85rem; }
.intervals th { width: 8.5rem; line-height: 1.3; }
.intervals td { text-align: right; white-space: nowrap; padding-left: 0.6rem; }
.intervals th, .intervals td { height: 2.1rem; }
.intervals .track { position: relative; min-width: 5rem; }
.track i, .track b { position: absolute; top: 50%; }
.track i {
  height: 0.6rem; margin-top: -0.3rem; border-radius: 3px;
  background: var(--quiet); opacity: 0.45;
}
.track b {
  width: 3px; height: 1.1rem; margin: -0.55rem 0 0 -1.5px;
  background: var(--ink);
}
.trained .track i { background: var(--accent); opacity: 0.6; }
.trained .track b { background: var(--accent); }
article .verdict { color: var(--ink); font-size: 0.9rem; }
@media """
    + style.IS_WIDE
    + """ {
  .columns, .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
"""
)

# Readers whose system asks for reduced motion start the movies themselves.
SCRIPT = """
if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
  for (const video of document.querySelectorAll('video')) {
    video.autoplay = false;
    video.pause();
  }
}
"""
