# make demo    the whole evaluation on generated faces: table, CSVs and a picture in results/demo
# make test    the test suite
# make docs    the pages under docs/ as a site in build/site, with the API reference
# make lint    ruff, mypy, and the layers of the folders
# make check   what CI runs: lint, the test suite, the site
# make clean   removes the environment and the caches (never results/)

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs check clean

demo: $(VENV)/ready
	$(BIN)/python evaluate.py --method All --workers $(WORKERS)

test: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/ready
	$(BIN)/mkdocs build --strict

check: lint test docs

# One resolver run with every pin: torchattacks holds requests at 2.25, so the order of separate installs breaks others.
$(VENV)/ready: pyproject.toml constraints.txt without-dependencies.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement without-dependencies.txt
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info
