# Every command sets up .venv first, with the package and all of its tools.
PYTHON ?= python3
BIN := .venv/bin
CODE := benchmarks configs docs experiments rvm_jax tests setup.py

.PHONY: demo test lint format docs tpu-check clean

demo: .venv/ready
	$(BIN)/python -m rvm_jax.main --config=configs/rvm_demo.py --workdir=runs/demo
	$(BIN)/python -m rvm_jax.evals.scenes.demo --workdir=runs/demo

test: .venv/ready
	$(BIN)/python -m pytest -q -n 2 tests

lint: .venv/ready
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyink --check $(CODE)
	$(BIN)/mypy

# Sorts the imports, mends what ruff can mend safely, then lays out the code.
format: .venv/ready
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/pyink --quiet $(CODE)

# Built anew each time: pages of modules that are gone would bring warnings.
docs: .venv/ready
	rm -rf docs/_build docs/generated
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build
	@echo 'Open docs/_build/index.html'

# Compiles the step of RVM-S for TPUs, which takes a quarter of an hour on two
# cores and needs no TPU, and checks its bounds.
tpu-check: .venv/ready
	$(BIN)/python -m pip install --quiet --editable '.[tpu-plan]'
	$(BIN)/python benchmarks/pods.py --check

.venv/ready: setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv docs/_build docs/generated runs
