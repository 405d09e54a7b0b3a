"""Tests of the documentation: its settings, its pages, and what they name."""

import pathlib
import re
import runpy

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SETTINGS = runpy.run_path(str(ROOT / 'docs' / 'conf.py'))


def to_rest(docstring):
  """Returns the lines of a docstring as docs/conf.py hands them to Sphinx."""
  lines = docstring.splitlines()
  SETTINGS['to_rest'](None, 'module', 'name', None, None, lines)
  return lines


@pytest.mark.parametrize(
    'block', [['  a: one', '', '    of *two', '  b: `c`s'], ['| a |', '|---|']]
)
def test_docstring_blocks_and_tables_become_preformatted(block):
  lines = to_rest('\n'.join(['A dict:', *block, 'And text.']))
  indented = ['  ' + line for line in block]
  assert lines == ['A dict:', '', '::', '', *indented, '', 'And text.']


@pytest.mark.parametrize(
    'docstring',
    [
        'Summary.\n\nArgs:\n  a: one\n    of two.\n\nReturns:\n  A pair: a, b.',
        'Summary.\n\nReturns:\n  One: a.\n  And a second line.\n\nText.',
        'Summary.\n\n- one\n  of two\n* two',
        '1. one\n   of two',
    ],
)
def test_docstring_sections_and_lists_stay_as_they_are(docstring):
  assert to_rest(docstring) == docstring.splitlines()


def test_docstring_returns_of_several_values_lists_them():
  lines = to_rest('Returns:\n  a: int.\n  b: float,\n    or int.\n\nRaises:')
  assert lines[0] == 'Return values:'
  assert lines[1:] == ['  a: int.', '  b: float,', '    or int.', '', 'Raises:']


@pytest.mark.parametrize(
    'line, expected',
    [
        ('Two `int`s of `a`.', r'Two `int`\ s of `a`.'),
        ('f(*args, **more)', r'f(\*args, \*\*more)'),
        ('of |a - b| and s_{t}', r'of \|a - b\| and s\_{t}'),
        ('snake_case `a*b|c_`', 'snake_case `a*b|c_`'),
        ('a span of `code that', 'a span of `code that'),
    ],
)
def test_docstring_text_is_escaped_outside_code(line, expected):
  assert to_rest(line) == [expected]


def test_signatures_of_flax_modules_lose_the_fields_parent_and_name():
  signature = (
      '(width: int, parent: Module | None = <flax.linen.module._Sentinel'
      ' object>, name: str | None = None)'
  )
  drop = SETTINGS['drop_flax_fields']
  result = drop(None, 'class', 'name', None, None, signature, None)
  assert result == ('(width: int)', None)
  # Sphinx takes None for no change.
  assert drop(None, 'module', 'name', None, None, None, None) is None


def test_api_reference_lists_every_module_of_the_package():
  listed = re.findall(
      r'^   (\w+)$', (ROOT / 'docs' / 'api.md').read_text(), re.M
  )
  modules = (ROOT / 'rvm_jax').glob('[!_]*')
  assert sorted(listed) == sorted(path.stem for path in modules)


def test_every_guide_has_a_page():
  index = (ROOT / 'docs' / 'index.md').read_text()
  guides = [path for path in ROOT.glob('docs/*.md') if path.stem != 'index']
  assert len(guides) > 5
  for path in guides:
    assert re.search(rf'^{path.stem}$', index, re.M), path
  pages = '\n'.join(path.read_text() for path in ROOT.glob('docs/*.md'))
  for name in (
      'README',
      'benchmarks/README',
      'CONTRIBUTING',
      'CHANGELOG',
      'rvm_jax/weights/checkpoints/rvm_tiny',
  ):
    assert f'{{include}} ../{name}.md' in pages, name


def test_contributing_names_files_that_exist():
  text = (ROOT / 'CONTRIBUTING.md').read_text()
  tops = 'configs|rvm_jax|docs|tests|benchmarks'
  paths = re.findall(rf'`((?:{tops})/[\w./]*)', text)
  assert len(paths) > 10
  for path in paths:
    assert (ROOT / path).exists(), path


def test_contributing_names_targets_of_make():
  text = (ROOT / 'CONTRIBUTING.md').read_text()
  makefile = (ROOT / 'Makefile').read_text()
  targets = re.findall(r'(?:^    |`)make ([\w./]+)', text, re.M)
  assert {'test', 'lint', 'format', 'docs'} <= set(targets)
  for target in targets:
    assert re.search(rf'^{re.escape(target)}:', makefile, re.M), target
