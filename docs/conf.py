"""Settings of the documentation, which `make docs` builds with Sphinx."""

import importlib.metadata
import re

project = 'rvm_jax'
release = version = importlib.metadata.version(project)
exclude_patterns = ['_build']
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]

html_theme = 'pydata_sphinx_theme'
html_theme_options = {
    'header_links_before_dropdown': 7,
    'navbar_align': 'left',
    'show_toc_level': 2,
}
html_title = f'{project} {release}'
# Only pages that have others below them have a navigation on the left.
html_sidebars = {'*': [], 'api': ['sidebar-nav-bs']}
html_show_sourcelink = False
html_copy_source = False
templates_path = ['_templates']

# Headings of the guides, down to the third level, can be linked to.
myst_heading_anchors = 3

# The reference shows what has a docstring, in the order of the source. Code in
# docstrings stands between single backticks, which is the default role of reST.
add_module_names = False
autodoc_default_options = {
    'members': True,
    'member-order': 'bysource',
    'special-members': '__call__',
}
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_typehints_format = 'short'
# These two files are copied beside an export and need PyTorch.
autosummary_context = {'excluded': ['rvm_torch', 'torch_side']}
default_role = 'code'
napoleon_custom_sections = [('Attributes', 'params_style')]
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 80

SECTION = re.compile(r'(Args|Attributes|Raises|Returns|Yields):$')
LIST_ITEM = re.compile(r'([-*]|\d+\.) ')
# What Flax adds to the fields of every module.
FLAX_FIELDS = re.compile(r', parent: .* = <flax\..*>, name: str \| None = None')


def keep_layout(app, what, name, obj, options, lines):
  """Shows what a docstring indents, or draws as a table, as it is written.

  Docstrings are written for readers of the source. Between paragraphs of text
  they have indented blocks and tables, which reST would parse, and code in the
  plural, such as `int`s, which reST does not know. List items and the sections
  of Google's style are left to Sphinx.
  """
  del app, what, name, obj, options
  marked, before, in_section, in_block = [], '', False, False
  for line in lines:
    is_text = line[:1] not in ('', ' ', '|')
    if is_text:
      in_section = bool(SECTION.match(line))
    if line and not in_section:
      if is_text and in_block:
        in_block = False
        marked.append('')
      elif not is_text and not in_block and not LIST_ITEM.match(before):
        in_block = True
        marked += ['', '::', '']
    if is_text:
      before = line
    if in_block:
      marked.append('  ' + line)
    else:
      marked.append(re.sub(r'(`[^`]+`)(?=\w)', r'\1\\ ', line))
  lines[:] = marked


def drop_flax_fields(app, what, name, obj, options, signature, returned):
  """Leaves in the signature of a Flax module only the fields of its own."""
  del app, name, obj, options
  if what == 'class' and signature:
    return FLAX_FIELDS.sub('', signature), returned
  return None


def skip_named_tuple_fields(app, what, name, obj, skip, options):
  """Skips what a NamedTuple says about its fields, which is their number."""
  del app, what, name, options
  return skip or str(obj.__doc__).startswith('Alias for field number')


def setup(app):
  """Connects the functions above, the first so that it runs before napoleon."""
  app.connect('autodoc-process-docstring', keep_layout, priority=400)
  app.connect('autodoc-process-signature', drop_flax_fields)
  app.connect('autodoc-skip-member', skip_named_tuple_fields)
