# Every target sets up what it needs: only Python 3.11 or newer and the package registry are assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
GENAI_OLDEST := build/genai-1
GENAI_MIDDLE := build/genai-2
PORT ?= 8787

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench serve lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## Make .venv with the pinned dependencies and the jangbu command

# The lock names everything: pip shall not look further, or a release that is newer than a pin would be in its way.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check --disable-pip-version-check
	touch $(READY)

$(GENAI_OLDEST)/ready: requirements-genai-1.lock | $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade --target $(@D) -r $<
	touch $@

$(GENAI_MIDDLE)/ready: requirements-genai-2.lock | $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade --target $(@D) -r $<
	touch $@

demo: $(READY) ## Run the whole product on a fake Gemini and print a report
	$(BIN)/jangbu demo $(ARGS)

test: $(READY) $(GENAI_OLDEST)/ready $(GENAI_MIDDLE)/ready ## Run every test, on the oldest and the latest google-genai
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY) ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## Measure recording beside the guide's design and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.recording $(ARGS)

serve: $(READY) ## Serve on http://127.0.0.1:8787
	$(BIN)/jangbu serve --port $(PORT)

lock: $(READY) ## Pin the newest dependencies that pyproject.toml allows
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-find-links --quiet --output-file requirements.lock

clean: ## Remove what the targets made
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
