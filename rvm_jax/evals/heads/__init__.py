"""Readout heads: small networks trained on the features of a frozen encoder.

They follow the readouts of RVM (arXiv 2512.13684) and 4DS (arXiv 2412.15212).
There is one head for each kind of task. Each is a flax.linen module built on
`attention.AttentionReadout`, and all keep one contract, so that `evals.fitting`
can train and run any of them:

- `head.init(rng, features, batch)` returns the head's variables, and
  `head.apply(variables, features, batch)` its outputs: one array, which only
  this head's `loss` and `decode` can interpret. `apply` uses no random numbers,
  and 'params' is the only collection.
- `head.loss(outputs, batch)` returns the loss of each example, float32 [B].
- `head.decode(outputs, batch)` returns the predictions: a dict of arrays with
  the names and units of the ground truth.
- `head.ground_truth_keys` lists the arrays of `batch` that the head reads.

`loss` and `decode` have no parameters: call them on the head itself, not
through `apply`. All functions can be jitted.

`features` is float [B, T, N, C]: for each of T frames, C channels for each of
the N = h * w patches, without a CLS token. `batch` is a dict of arrays with a
leading axis B. It may hold more arrays than the head reads. A head that tracks
points or objects is given *queries*: the positions in frame 0 of what it has to
track. `apply` and `decode` read nothing of `batch` but the queries; `loss`
reads all of the ground truth.

| head | ground truth in `batch` | queries in `batch` | predictions |
|---|---|---|---|
| `ClassificationHead` | label int [B] | none | probabilities [B, K] |
| `PointsHead` | tracks [B, P, T, 2], | tracks[:, :, 0], | tracks, |
| | visible bool [B, P, T], | is_valid | visible |
| | is_valid bool [B, P] | | |
| `BoxesHead` | boxes [B, O, T, 4] | boxes[:, :, 0] | boxes |
| `DepthHead` | depth [B, T, H, W] | none | depth |

K is the number of classes, P that of points and O that of objects. Points are
(x, y) and boxes (x0, y0, x1, y1), in pixels of the frames that the encoder
sees. Depth is in metres.

Some entries of the ground truth do not count: points whose `is_valid` is False,
which are padding; positions of points that are not visible; missing boxes,
which are NaN or have no area; objects without a box in frame 0; and unknown
depth, which is 0. Whatever these entries hold changes neither the loss nor its
gradient. An example in which nothing counts has the loss 0.

The sizes of a head are its fields. Where the loss of the papers is not known,
the head has a loss of ours, which its docstring describes.
"""
