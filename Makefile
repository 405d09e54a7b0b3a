# The two commands: `make demo` and `make test`. Each sets up .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test clean

demo: .venv/ready
	$(BIN)/python -m rvm_jax.main --config=configs/rvm_demo.py --workdir=runs/demo
	$(BIN)/python -m rvm_jax.evals.scenes.demo --workdir=runs/demo

test: .venv/ready
	$(BIN)/python -m pytest -q -n 2 tests

.venv/ready: setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf .venv runs
