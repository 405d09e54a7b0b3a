"""Runs the cells of a notebook as a kernel would, without a kernel.

  python tests/notebook_cells.py NOTEBOOK FOLDER

A picture that is the value of a cell's last line goes to FOLDER/ID.png, where
ID is that of the cell; any other value is printed.
"""

import ast
import json
import pathlib
import sys


def read(notebook):
  """Returns the cells of a notebook; the key 'text' has all of the source."""
  cells = json.loads(pathlib.Path(notebook).read_text())['cells']
  return [cell | {'text': ''.join(cell['source'])} for cell in cells]


def run(notebook, folder):
  """Runs all cells with code in one namespace."""
  names = {'__name__': '__main__'}
  for cell in read(notebook):
    if cell['cell_type'] != 'code':
      continue
    tree = ast.parse(cell['text'], cell['id'])
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, cell['id'], 'exec'), names)
    if last is None:
      continue
    code = compile(ast.Expression(last.value), cell['id'], 'eval')
    value = eval(code, names)
    if hasattr(value, 'save'):
      value.save(pathlib.Path(folder, f'{cell["id"]}.png'))
    elif value is not None:
      print(value)


if __name__ == '__main__':
  # A kernel finds modules in the current directory, not beside a script.
  sys.path[0] = ''
  run(*sys.argv[1:])
