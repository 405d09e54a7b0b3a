"""Keys and shapes of the arrays in published checkpoints of RVM's rivals."""

from typing import Any

# For each size: width, number of blocks, hidden width of the MLPs, heads.
SIZES = {
    'small': (384, 12, 1536, 6),
    'base': (768, 12, 3072, 12),
    'large': (1024, 24, 4096, 16),
}

# Each line is a key and a shape. `*` stands for the number of a block, D for
# the width and M for the hidden width of the MLPs.
_NORMS = """
    blocks.*.norm1.weight D
    blocks.*.norm1.bias D
    blocks.*.norm2.weight D
    blocks.*.norm2.bias D
    norm.weight D
    norm.bias D
    """
_MLPS = """
    blocks.*.mlp.fc1.weight M D
    blocks.*.mlp.fc1.bias M
    blocks.*.mlp.fc2.weight D M
    blocks.*.mlp.fc2.bias D
    """
_SCALES = """
    blocks.*.ls1.gamma D
    blocks.*.ls2.gamma D
    """
_FUSED = """
    blocks.*.attn.qkv.weight 3D D
    blocks.*.attn.qkv.bias 3D
    blocks.*.attn.proj.weight D D
    blocks.*.attn.proj.bias D
    """


def _separate(query: str, key: str, value: str, out: str) -> str:
  """Returns the lines of attention layers with separate weights.

  Args:
    query: name of the layer that makes queries.
    key: name of the layer that makes keys.
    value: name of the layer that makes values.
    out: name of the layer that makes the output.
  """
  names = (query, key, value, out)
  return ''.join(
      f'blocks.*.attention.{name}.weight D D\n'
      f'blocks.*.attention.{name}.bias D\n'
      for name in names
  )


# For each FAMILY:LAYOUT the lines of its file, and which parts of the keys are
# then replaced by which.
LAYOUTS = {
    'dinov2:original': (
        _NORMS + _MLPS + _SCALES + _FUSED + """
        cls_token 1 1 D
        pos_embed 1 1370 D
        mask_token 1 D
        patch_embed.proj.weight D 3 14 14
        patch_embed.proj.bias D
        """,
        {},
    ),
    'dinov2:huggingface': (
        _NORMS
        + _MLPS
        + _SCALES
        + _separate(
            'attention.query',
            'attention.key',
            'attention.value',
            'output.dense',
        )
        + """
        embeddings.cls_token 1 1 D
        embeddings.mask_token 1 D
        embeddings.position_embeddings 1 1370 D
        embeddings.patch_embeddings.projection.weight D 3 14 14
        embeddings.patch_embeddings.projection.bias D
        """,
        {
            'blocks.': 'encoder.layer.',
            'ls1.gamma': 'layer_scale1.lambda1',
            'ls2.gamma': 'layer_scale2.lambda1',
            'norm.': 'layernorm.',
        },
    ),
    'dinov3:original': (
        _NORMS + _MLPS + _SCALES + _FUSED + """
        blocks.*.attn.qkv.bias_mask 3D
        cls_token 1 1 D
        storage_tokens 1 4 D
        mask_token 1 D
        patch_embed.proj.weight D 3 16 16
        patch_embed.proj.bias D
        rope_embed.periods 16
        """,
        {},
    ),
    'dinov3:huggingface': (
        _NORMS
        + _MLPS
        + _SCALES
        + _separate('q_proj', 'k_proj', 'v_proj', 'o_proj')
        + """
        embeddings.cls_token 1 1 D
        embeddings.mask_token 1 1 D
        embeddings.register_tokens 1 4 D
        embeddings.patch_embeddings.weight D 3 16 16
        embeddings.patch_embeddings.bias D
        """,
        {
            'blocks.': 'layer.',
            'ls1.gamma': 'layer_scale1.lambda1',
            'ls2.gamma': 'layer_scale2.lambda1',
            'fc1': 'up_proj',
            'fc2': 'down_proj',
        },
    ),
    # The published file also has a decoder, which is not read.
    'videomae:original': (
        _NORMS + _MLPS + """
        blocks.*.attn.qkv.weight 3D D
        blocks.*.attn.q_bias D
        blocks.*.attn.v_bias D
        blocks.*.attn.proj.weight D D
        blocks.*.attn.proj.bias D
        patch_embed.proj.weight D 3 2 16 16
        patch_embed.proj.bias D
        """,
        {
            'blocks.': 'encoder.blocks.',
            'norm.': 'encoder.norm.',
            'patch_embed.': 'encoder.patch_embed.',
        },
    ),
    'videomae:huggingface': (
        """
        encoder.layer.*.layernorm_before.weight D
        encoder.layer.*.layernorm_before.bias D
        encoder.layer.*.layernorm_after.weight D
        encoder.layer.*.layernorm_after.bias D
        encoder.layer.*.attention.attention.query.weight D D
        encoder.layer.*.attention.attention.key.weight D D
        encoder.layer.*.attention.attention.value.weight D D
        encoder.layer.*.attention.attention.q_bias D
        encoder.layer.*.attention.attention.v_bias D
        encoder.layer.*.attention.output.dense.weight D D
        encoder.layer.*.attention.output.dense.bias D
        encoder.layer.*.intermediate.dense.weight M D
        encoder.layer.*.intermediate.dense.bias M
        encoder.layer.*.output.dense.weight D M
        encoder.layer.*.output.dense.bias D
        layernorm.weight D
        layernorm.bias D
        embeddings.patch_embeddings.projection.weight D 3 2 16 16
        embeddings.patch_embeddings.projection.bias D
        """,
        {},
    ),
    # These are the keys of one encoder; the published files have two, and
    # predictors, which are not read.
    'vjepa:original': (
        _NORMS + _MLPS + _FUSED + """
        pos_embed 1 1568 D
        patch_embed.proj.weight D 3 2 16 16
        patch_embed.proj.bias D
        """,
        {},
    ),
    'vjepa2:original': (
        _NORMS + _MLPS + _FUSED + """
        pos_embed 1 8192 D
        patch_embed.proj.weight D 3 2 16 16
        patch_embed.proj.bias D
        """,
        {},
    ),
    'vjepa2:huggingface': (
        _NORMS + _MLPS + _separate('query', 'key', 'value', 'proj') + """
        encoder.embeddings.patch_embeddings.proj.weight D 3 2 16 16
        encoder.embeddings.patch_embeddings.proj.bias D
        """,
        {'blocks.': 'encoder.layer.', 'norm.': 'encoder.layernorm.'},
    ),
}


def list_shapes(layout: str, size: str) -> dict[str, tuple[int, ...]]:
  """Returns the shapes of the arrays in a file by their keys.

  Args:
    layout: a key of `LAYOUTS`.
    size: a key of `SIZES`.
  """
  width, depth, hidden, _ = SIZES[size]
  letters = {'D': width, '3D': 3 * width, 'M': hidden}
  lines, replacements = LAYOUTS[layout]
  found = {}
  for key, *sides in filter(None, map(str.split, lines.split('\n'))):
    for old, new in replacements.items():
      # Parts are replaced at the beginning or at the end of a key, and the
      # names of MLP layers also in between.
      if key.startswith(old):
        key = new + key.removeprefix(old)
      elif old in ('fc1', 'fc2') or key.endswith(old):
        key = key.replace(old, new)
    shape = tuple(letters[x] if x in letters else int(x) for x in sides)
    for i in range(depth if '*' in key else 1):
      found[key.replace('*', str(i))] = shape
  if layout == 'dinov3:huggingface':
    # The layers that make the keys of attention have no bias in this layout.
    found = {k: v for k, v in found.items() if 'k_proj.bias' not in k}
  return found


def make_config(family: str, size: str) -> dict[str, Any]:
  """Returns the contents of the config.json that Hugging Face has for a model.

  Args:
    family: 'dinov2', 'dinov3', 'videomae' or 'vjepa2'.
    size: a key of `SIZES`.
  """
  width, depth, hidden, heads = SIZES[size]
  config = {
      'hidden_size': width,
      'num_hidden_layers': depth,
      'num_attention_heads': heads,
  }
  if family == 'dinov2':
    return config | {
        'model_type': 'dinov2',
        'mlp_ratio': hidden // width,
        'use_swiglu_ffn': False,
        'image_size': 518,
        'patch_size': 14,
        'layer_norm_eps': 1e-6,
        'qkv_bias': True,
    }
  if family == 'videomae':
    return config | {
        'model_type': 'videomae',
        'intermediate_size': hidden,
        'image_size': 224,
        'patch_size': 16,
        'num_frames': 16,
        'tubelet_size': 2,
        'layer_norm_eps': 1e-12,
        'qkv_bias': True,
        'use_mean_pooling': False,
    }
  if family == 'vjepa2':
    return config | {
        'model_type': 'vjepa2',
        'crop_size': 256,
        'patch_size': 16,
        'frames_per_clip': 64,
        'tubelet_size': 2,
        'mlp_ratio': 4.0,
        'layer_norm_eps': 1e-6,
        'qkv_bias': True,
    }
  return config | {
      'model_type': 'dinov3_vit',
      'intermediate_size': hidden,
      'use_gated_mlp': False,
      'num_register_tokens': 4,
      'patch_size': 16,
      'layer_norm_eps': 1e-5,
      'rope_theta': 100.0,
      'query_bias': True,
      'key_bias': False,
      'value_bias': True,
      'proj_bias': True,
      'mlp_bias': True,
  }
