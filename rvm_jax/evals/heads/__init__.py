"""Readouts: what is trained on the features of a frozen encoder.

One head a task, each a flax.linen module over `attention.AttentionReadout`, and
all alike:

- `head.init(rng, features, batch)` and `head.apply(variables, features, batch)`
  give parameters and `outputs`, arrays that only the same head understands.
  Nothing is random in it, and there is no collection but 'params'.
- `head.loss(outputs, batch)` is float32 [B], a loss an example. It has no
  parameters: call it on the head itself.
- `head.decode(outputs, batch)` is a dict of arrays in the units of the truths,
  under their names. It has no parameters either.
- `head.truths` names what it reads of `batch`.

All three can be jitted. `features` is float [B, T, N, C], the N = h * w patches
of every frame, without a CLS. `batch` is a dict of arrays with a leading B; it
may hold more than the head reads:

| head | truths in `batch` | asked by | `decode` |
|---|---|---|---|
| `ClassificationHead` | label int [B] | | probabilities [B, K] |
| `PointsHead` | tracks [B, P, T, 2], | tracks[:, :, 0], | tracks, |
| | visible bool [B, P, T], | | visible |
| | is_valid bool [B, P] | is_valid | |
| `BoxesHead` | boxes [B, O, T, 4] | boxes[:, :, 0] | boxes |
| `DepthHead` | depth [B, T, H, W] | | depth |

Points are (x, y) and boxes (x0, y0, x1, y1), in pixels of the frames that the
encoder sees; boxes are NaN where there is none; points of which `is_valid` is
False are padding, as are objects without a box in frame 0. Depth is in metres,
0 where it is not known.
`apply` and `decode` need only what the head is asked by; `loss` the truths.
Truths that do not count, whatever they hold, change neither loss nor gradient.

A head's sizes are its fields. Losses and initial values are ours where the
paper's are not known: each head's docstring says which.
"""
