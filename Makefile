# make setup | demo | test | test-long | test-browser | lab | bench
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export UV_PYTHON := $(BIN)/python

.PHONY: setup demo test test-long test-browser lab bench clean constraints

setup: $(READY)

$(READY): settings.ini setup.py constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'leuknb needs Python 3.11 or newer; make PYTHON=python3.12 ... names one')"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q uv && $(BIN)/uv pip install -q -c constraints.txt -e '.[dev,lab]' \
		|| $(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,lab]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/leuknb reproduce --out runs/demo

test: $(READY)
	$(BIN)/python tools/test.py

test-long: $(READY)
	$(BIN)/python -m pytest -q tests --ignore tests/browser --long

test-browser: $(READY)
	$(BIN)/python -m pytest -q tests/browser

lab: $(READY)
	$(BIN)/jupyter lab nbs/000_tour.ipynb

bench: $(READY)
	$(BIN)/python tools/bench.py $(DATA)

clean:
	rm -rf $(VENV) build dist *.egg-info

constraints:
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --all-extras --no-annotate --no-header --upgrade setup.py -o constraints.txt
