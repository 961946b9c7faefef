# `make run` runs the main job, `make test` the tests; both make the environment they need first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BACKENDS := $(VENV)/.backends
ARGS ?=

.PHONY: run test test-all test-backends lint clean

run: $(READY)
	$(BIN)/python -m pipelines.run --runner=DirectRunner $(ARGS)

# Two processes, each of which imports TensorFlow once; fixtures of a file are made once.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile

test: $(READY)
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(READY)
	$(PYTEST) $(ARGS)

test-backends: $(BACKENDS)
	$(BIN)/python -m pytest -q tests/test_backends.py $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# The stamp is written last: an installation that was cut off is taken up again.
$(READY): pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off \
		-c .ci/constraints.txt -e ".[demo,dev,export,search,serving]"
	touch $@

$(BACKENDS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off \
		-c .ci/constraints.txt -e ".[backends]"
	touch $@

clean:
	rm -rf $(VENV) runs
