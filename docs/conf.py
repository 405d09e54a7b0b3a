"""Settings of the documentation, which `make docs` builds with Sphinx."""

import importlib.metadata
import itertools
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
napoleon_custom_sections = [
    ('Attributes', 'params_style'),
    ('Return values', 'params_style'),
]
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 80

SECTION = re.compile(r'(Args|Attributes|Raises|Returns|Yields):$')
LIST_ITEM = re.compile(r'([-*]|\d+\.) ')
# What Flax adds to the fields of every module.
FLAX_FIELDS = re.compile(r', parent: .* = <flax\..*>, name: str \| None = None')


def to_rest(app, what, name, obj, options, lines):
  """Turns the lines of a docstring, in place, into what napoleon understands.

  Docstrings are written for readers of the source: as plain text with code
  between backticks, with indented blocks and tables between the paragraphs, and
  in the sections of Google's style. This function marks the blocks and tables,
  so that they are shown as they are written, and escapes what reST would take
  for markup. A section Returns that describes several values by name becomes
  the section Return values, because napoleon expects a single one.
  """
  del app, what, name, obj, options
  rest, before, in_section, in_block = [], '', False, False
  for number, line in enumerate(lines):
    is_text = line[:1] not in ('', ' ', '|')
    if is_text:
      in_section = bool(SECTION.match(line))
    if line and not in_section:
      if is_text and in_block:
        in_block = False
        rest.append('')
      elif not is_text and not in_block and not LIST_ITEM.match(before):
        in_block = True
        rest += ['', '::', '']
    if is_text:
      before = line
    if in_block:
      rest.append('  ' + line)
    elif line == 'Returns:' and names_values(lines[number + 1 :]):
      rest.append('Return values:')
    else:
      rest.append(escape(line))
  lines[:] = rest


def names_values(lines):
  """Returns whether a section, from its second line on, lists named values."""
  section = itertools.takewhile(lambda line: line[:1] in ('', ' '), lines)
  items = [line for line in section if re.match(r'  \S', line)]
  return len(items) > 1 and all(':' in line for line in items)


def escape(line):
  """Returns a line of text as reST, in which only code has a markup."""
  bullet, text = re.match(r'(\s*(?:[-*] )?)(.*)', line).groups()
  parts = text.split('`')
  # Every second part is code, unless a span of code goes on in the next line.
  if len(parts) % 2:
    parts[::2] = [re.sub(r'[*|]|_\b', r'\\\g<0>', part) for part in parts[::2]]
    # In reST, code that a letter follows, as in a plural, needs a mark.
    parts[2::2] = [re.sub(r'^(?=\w)', r'\\ ', part) for part in parts[2::2]]
  return bullet + '`'.join(parts)


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
  app.connect('autodoc-process-docstring', to_rest, priority=400)
  app.connect('autodoc-process-signature', drop_flax_fields)
  app.connect('autodoc-skip-member', skip_named_tuple_fields)
