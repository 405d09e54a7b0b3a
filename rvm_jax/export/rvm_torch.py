"""RVM in PyTorch, for inference: the image encoder and the recurrent core.

  import rvm_torch

  model = rvm_torch.load('state_dict.pt')
  with torch.inference_mode():
    # The first frames of a video, [B, T, H, W, 3], then the frames after them.
    features, state = model(frames)
    features, state = model(more_frames, state)

This file needs nothing but PyTorch. It was written by rvm_jax and reproduces
the features of rvm_jax. Parameters have the names and shapes of the released
checkpoints, with '.' in place of '/'; kernels are [inputs, outputs].

Axes: B videos, T frames, H x W pixels of a frame, N patches of a frame with
P x P pixels, M and M' tokens of any number, D channels of a token.

Model: Zoran et al., "Recurrent Video Masked Autoencoders", arXiv 2512.13684.
Licence: Apache-2.0.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

# Rows and columns of patches in the frames that RVM was trained on.
NATIVE_GRID = (16, 16)


class Dense(nn.Module):
  """A linear map that may contract and produce several axes at once."""

  def __init__(self, inputs, outputs, has_bias=True):
    """Creates the kernel [*inputs, *outputs] and, if asked for, the bias.

    Args:
      inputs: sizes of the last axes of the input, which are contracted.
      outputs: sizes of the axes that replace them.
      has_bias: whether a bias of shape `outputs` is added.
    """
    super().__init__()
    self.num_axes = len(inputs)
    self.kernel = nn.Parameter(torch.empty(*inputs, *outputs))
    self.bias = nn.Parameter(torch.empty(outputs)) if has_bias else None

  def forward(self, x):
    x = torch.tensordot(x, self.kernel, self.num_axes)
    return x if self.bias is None else x + self.bias


class Norm(nn.Module):
  """Layer norm over the last axis; its parameters are named as in Flax."""

  def __init__(self, width, epsilon=1e-6, has_bias=True):
    super().__init__()
    self.epsilon = epsilon
    self.scale = nn.Parameter(torch.empty(width))
    self.bias = nn.Parameter(torch.empty(width)) if has_bias else None

  def forward(self, x):
    shape = self.scale.shape
    return F.layer_norm(x, shape, self.scale, self.bias, self.epsilon)


class MLP(nn.Module):
  """Two dense layers with a GELU between them."""

  def __init__(self, width, hidden):
    super().__init__()
    self.dense_in = Dense((width,), (hidden,))
    self.dense_out = Dense((hidden,), (width,))

  def forward(self, x):
    return self.dense_out(F.gelu(self.dense_in(x), approximate='tanh'))


class Attention(nn.Module):
  """Multi-head attention of queries [B, M, D] to a context [B, M', D]."""

  def __init__(self, width, heads):
    super().__init__()
    split = (heads, width // heads)
    self.query = Dense((width,), split)
    self.key = Dense((width,), split)
    self.value = Dense((width,), split)
    self.out = Dense(split, (width,))

  def forward(self, x, context):
    # PyTorch expects the heads before the tokens: [B, heads, M, D / heads].
    mixed = F.scaled_dot_product_attention(
        self.query(x).transpose(1, 2),
        self.key(context).transpose(1, 2),
        self.value(context).transpose(1, 2),
    )
    return self.out(mixed.transpose(1, 2))


class Block(nn.Module):
  """Pre-norm transformer block: self-attention, then MLP."""

  def __init__(self, width, heads, mlp):
    super().__init__()
    self.attention_norm = Norm(width)
    self.attention = Attention(width, heads)
    self.mlp_norm = Norm(width)
    self.mlp = MLP(width, mlp)

  def forward(self, x):
    y = self.attention_norm(x)
    x = x + self.attention(y, y)
    return x + self.mlp(self.mlp_norm(x))


class CrossBlock(nn.Module):
  """Pre-norm transformer block: cross-attention, MLP, then self-attention."""

  def __init__(self, width, heads, mlp):
    super().__init__()
    self.ca_attention_norm = Norm(width)
    self.ca_attention = Attention(width, heads)
    self.mlp_norm = Norm(width)
    self.mlp = MLP(width, mlp)
    self.attention_norm = Norm(width)
    self.attention = Attention(width, heads)

  def forward(self, x, context):
    x = x + self.ca_attention(self.ca_attention_norm(x), context)
    x = x + self.mlp(self.mlp_norm(x))
    y = self.attention_norm(x)
    return x + self.attention(y, y)


class Encoder(nn.ModuleDict):
  """Vision transformer over the tokens of one frame, [B, 1 + N, D]."""

  def __init__(self, width, layers, heads, mlp):
    blocks = {f'layers_{i}': Block(width, heads, mlp) for i in range(layers)}
    super().__init__(blocks | {'LayerNorm_0': Norm(width)})

  def forward(self, x):
    for module in self.values():
      x = module(x)
    return x


class CrossTransformer(nn.ModuleDict):
  """Transformer whose tokens attend to a context in every block."""

  def __init__(self, width, layers, heads, mlp):
    blocks = {
        f'xa_blocks_{i}': CrossBlock(width, heads, mlp) for i in range(layers)
    }
    super().__init__(blocks | {'output_norm': Norm(width)})

  def forward(self, x, context):
    *blocks, norm = self.values()
    for block in blocks:
      x = block(x, context)
    return norm(x)


class GatedTransformerCore(nn.Module):
  """Gated recurrent unit whose candidate state comes from a transformer."""

  def __init__(self, width, layers, heads, mlp):
    super().__init__()
    gate = functools.partial(Dense, (width,), (width,), has_bias=False)
    self.input_update = gate()
    self.input_reset = gate()
    self.state_update = gate()
    self.state_reset = gate()
    self.state_layer_norm = Norm(width, epsilon=1e-4, has_bias=False)
    self.transformer = CrossTransformer(width, layers, heads, mlp)

  def forward(self, e, s):
    """Returns the next state.

    Args:
      e: encoder tokens of the frame, [B, 1 + N, D].
      s: state before the frame, [B, 1 + N, D].
    """
    u = torch.sigmoid(self.input_update(e) + self.state_update(s))
    r = torch.sigmoid(self.input_reset(e) + self.state_reset(s))
    c = self.transformer(e, r * self.state_layer_norm(s))
    return (1 - u) * s + u * c


class RVM(nn.Module):
  """Image encoder and recurrent core. Build it with `load`."""

  def __init__(self, width, patch, encoder, core):
    """Creates a model of the given sizes with uninitialised parameters.

    Args:
      width: D, channels of a token.
      patch: side of a patch in pixels.
      encoder: the encoder's number of layers, number of heads, and hidden
        width of the MLP.
      core: the same three sizes of the recurrent core's transformer.
    """
    super().__init__()
    self.width, self.patch = width, patch
    self.cls_token = nn.Parameter(torch.empty(1, width))
    # The convolution has a stride of its kernel's size and one frame of depth:
    # it is a product of each patch with the kernel.
    convolution = Dense((1, patch, patch, 3), (width,))
    embedding = nn.ModuleDict({'Conv_0': convolution})
    self.tokenizer = nn.ModuleDict({'patch_embedding': embedding})
    self.encoder = Encoder(width, *encoder)
    self.rnn_core = GatedTransformerCore(width, *core)

  def forward(self, frames, state=None):
    """Folds frames into the state, one after the other.

    Args:
      frames: RGB frames [B, T, H, W, 3], uint8, or float in [0, 1]. H and W are
        multiples of `patch`.
      state: the state [B, 1 + N, D] that an earlier call returned; None at the
        start of a video.

    Returns:
      features: the state after each frame, [B, T, 1 + N, D]: first a vector for
        the whole frame, then one for each patch in raster order.
      state: the state after the last frame, [B, 1 + N, D].

    Raises:
      ValueError: H or W is not a multiple of `patch`.
    """
    size, (batch, time, height, width, _) = self.patch, frames.shape
    if height % size or width % size:
      raise ValueError(
          f'height and width must be multiples of {size}, got {height}, {width}'
      )
    if frames.dtype == torch.uint8:
      frames = frames.float() / 255
    # Cut the frames into patches in raster order: [B * T, N, 1, P, P, 3].
    rows, columns = height // size, width // size
    x = frames.reshape(batch * time, rows, size, columns, size, 3)
    x = x.transpose(2, 3).reshape(batch * time, -1, 1, size, size, 3)
    # Encode each frame on its own.
    x = self.tokenizer['patch_embedding']['Conv_0'](x)
    x = x + positions(rows, columns, self.width).to(x)
    cls = self.cls_token.expand(len(x), 1, -1)
    tokens = self.encoder(torch.cat([cls, x], 1)).unflatten(0, (batch, time))
    # Fold the frames into the state in the order of time.
    if state is None:
      state = torch.zeros_like(tokens[:, 0])
    features = []
    for t in range(time):
      state = self.rnn_core(tokens[:, t], state)
      features.append(state)
    return torch.stack(features, 1), state


@functools.lru_cache(maxsize=32)
def positions(rows, columns, width):
  """Returns the position embeddings of a grid, [rows * columns, width].

  For the native grid they are sinusoidal embeddings of the raster indices of
  its patches. For another grid they are resized from the native one.
  """
  j = torch.arange(width, dtype=torch.float64)
  n = torch.arange(NATIVE_GRID[0] * NATIVE_GRID[1], dtype=torch.float64)
  angles = n[:, None] / 10000.0 ** (2 * (j // 2) / width)
  table = torch.where(j % 2 == 1, angles.cos(), angles.sin()).float()
  table = table.T.reshape(1, width, *NATIVE_GRID)
  if (rows, columns) != NATIVE_GRID:
    size = rows, columns
    table = F.interpolate(table, size, mode='bicubic', antialias=True)
  return table.reshape(width, rows * columns).T


def load(path):
  """Loads a model onto the CPU; its sizes follow from the parameters' shapes.

  Args:
    path: path of the `state_dict.pt` beside this file.

  Returns:
    The `RVM`, in evaluation mode.
  """
  state = torch.load(path, map_location='cpu', weights_only=True)

  def sizes(stack):
    """Returns the numbers of layers and heads, and the MLP's hidden width."""
    blocks = {k.split('.')[stack.count('.')] for k in state if stack in k}
    heads = state[f'{stack}0.attention.query.bias'].shape[0]
    return len(blocks), heads, state[f'{stack}0.mlp.dense_in.bias'].shape[0]

  model = RVM(
      width=state['cls_token'].shape[1],
      patch=state['tokenizer.patch_embedding.Conv_0.kernel'].shape[1],
      encoder=sizes('encoder.layers_'),
      core=sizes('rnn_core.transformer.xa_blocks_'),
  )
  model.load_state_dict(state)
  return model.eval()
