# make demo | test | test-fast | lint | docs | clean. Needs python3 (3.10 or later) and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PHOTOS ?= examples/photos
# Two threads suit the small networks here, and keep a test run from taking the whole machine.
export OMP_NUM_THREADS ?= 2

.PHONY: demo test test-fast lint docs clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	@for scheme in wflw98 ibug68; do \
	  echo "tufa-cli annotate $(PHOTOS) --scheme $$scheme -o demo/$$scheme.json --draw demo/$$scheme"; \
	  $(BIN)/tufa-cli annotate $(PHOTOS) --scheme $$scheme -o demo/$$scheme.json \
	    --draw demo/$$scheme --overwrite || exit $$?; \
	done
	@echo
	@echo "Annotations (COCO keypoints): demo/wflw98.json, demo/ibug68.json"
	@echo "Photos with the points drawn: demo/wflw98/, demo/ibug68/"

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

# With the extra `fast`, put aside so that all other tests run without it.
test-fast: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt --no-deps --upgrade --target $(VENV)/fast orjson
	PYTHONPATH=$(VENV)/fast $(BIN)/python -m pytest tests/formats/test_format_fast.py \
	  tests/formats/test_format_coco.py tests/formats/test_ids.py tests/formats/test_nothing_unsaid.py \
	  tests/formats/test_format_reading.py tests/formats/test_uncollected.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p tufa_cli.geometry -p tufa_cli.schemes -p tufa_cli.formats -m tufa_cli.annotation

docs: $(VENV)/.installed-dev demo
	$(BIN)/tufa-cli annotate examples/photos --scheme examples/my_scheme.yaml \
	  -o demo/my_scheme.json --draw demo/my_scheme --overwrite
	$(BIN)/tufa-cli schemes plot examples/my_scheme.yaml --on mean-face -o demo/my_scheme.png --overwrite
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_formats.py
	$(BIN)/python docs/make_pictures.py

clean:
	rm -rf build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A stale build/ would put deleted files back into the package, so it goes first.
INSTALL = rm -rf build && $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
SETUP   = setup.cfg setup.py pyproject.toml constraints.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "tufa-cli needs Python 3.10 or later: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SETUP) | $(BIN)/python
	@echo "Installing into $(VENV) (PyTorch is large: this takes a few minutes the first time)"
	@$(INSTALL) torch
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(INSTALL) -e '.[test,lint]'
	@touch $@
