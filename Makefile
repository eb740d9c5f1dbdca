# Every target sets up what it needs: only Python 3.11 or newer and the package registry are assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
GENAI_OLDEST := build/genai-1
GENAI_MIDDLE := build/genai-2
CLIENTS := build/clients
EXAMPLES := build/examples
VENDORED := build/vendored
CLIENT_SETS := genai-1 genai-2 genai-3 litellm
PORT ?= 8787
SEEDS ?= 10000
ROWS ?= 100000
USERS ?= 1000
DATA ?= build/seed
TESTERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup browser vendored demo test lint simulate torture bench bench-gateway seed serve lock clean test-clients lock-clients

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

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

$(CLIENTS)/%/ready: requirements-clients-%.lock
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	$(@D)/bin/python -m pip check --disable-pip-version-check
	touch $@

# Some packages ask for Node 22 and work on Node 20 all the same; their tests tell.
$(CLIENTS)/node/ready: tests/clients/node/package.json tests/clients/node/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  mkdir -p $(@D) && cp $^ $(@D) && cd $(@D) && \
	  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch ready; \
	else echo "node and npm are not on this machine: the clients for Node are skipped"; fi

$(EXAMPLES)/fastapi/ready: examples/comic-fastapi/requirements.lock
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	$(@D)/bin/python -m pip check --disable-pip-version-check
	touch $@

$(EXAMPLES)/nextjs/ready: examples/comic-nextjs/package.json examples/comic-nextjs/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  mkdir -p $(@D) && cp $^ $(@D) && cd $(@D) && \
	  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch ready; \
	else echo "node and npm are not on this machine: the example for Next.js is skipped"; fi

$(VENDORED)/ready: vendored/package.json vendored/package-lock.json vendored/charts.js
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  mkdir -p $(@D) && cp $^ $(@D) && cd $(@D) && \
	  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch ready; \
	else echo "node and npm are not on this machine: what pages load is not made anew, and axe is skipped"; fi

# What a browser needs to show Korean, too. Without root and without one, the tests of the pages are skipped and say so.
browser: ## Install Debian's Chromium without a window and fonts, where there is none
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] \
	  && command -v apt-get >/dev/null && apt-get -qq update && export DEBIAN_FRONTEND=noninteractive \
	  && { apt-get -qq install --no-install-recommends -y chromium-headless-shell fonts-noto-cjk >/dev/null \
	    || apt-get -qq install --no-install-recommends -y chromium fonts-noto-cjk >/dev/null; }; } \
|| echo "Chromium is not on this machine and cannot be installed: the tests of the dashboard's pages are skipped"

vendored: $(READY) ## Make the files that pages load and others wrote anew; ARGS=--lock pins what package.json asks for
	$(BIN)/python -m vendored $(ARGS)

demo: $(READY) ## Run the whole product on a fake Gemini and print a report
	$(BIN)/jangbu demo $(ARGS)

test: $(READY) $(GENAI_OLDEST)/ready $(GENAI_MIDDLE)/ready $(EXAMPLES)/fastapi/ready $(EXAMPLES)/nextjs/ready $(VENDORED)/ready browser ## Run every test in TESTERS processes (3), on the oldest and the latest google-genai
	$(BIN)/python -m pytest --ignore tests/clients --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-clients: $(READY) $(CLIENT_SETS:%=$(CLIENTS)/%/ready) $(CLIENTS)/node/ready ## Run every real client against the gateway
	$(BIN)/python -m pytest tests/clients $(ARGS)

simulate: $(READY) ## Carry out SEEDS simulated histories on all cores; one alone with `python -m tests.simulation SEED`
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

torture: $(READY) ## Kill real processes while they meter, for SECONDS (60), or KILLS times
	$(BIN)/python -m tests.torture $(if $(KILLS),--kills $(KILLS),--seconds $(or $(SECONDS),60)) $(ARGS)

lint: $(READY) ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## Measure recording beside the guide's design and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.recording $(ARGS)

bench-gateway: $(READY) ## Measure the gateway beside nginx, LiteLLM and Portkey and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.gateway $(ARGS)

seed: $(READY) ## Fill a ledger in DATA with ROWS made-up calls of USERS users, to look at or to measure
	$(BIN)/python -m benchmarks.seed --rows $(ROWS) --users $(USERS) --data-dir $(DATA) $(ARGS)

serve: $(READY) ## Serve on http://127.0.0.1:8787
	$(BIN)/jangbu serve --port $(PORT)

lock: ## Pin what pyproject.toml asks for; what is pinned stays, ARGS=--upgrade takes the newest
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	build/lock/bin/uv pip compile pyproject.toml --extra alerts --extra gateway --extra parquet --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-find-links --quiet --output-file requirements.lock $(ARGS)

lock-clients: $(READY) ## Pin the clients that test-clients runs
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	for set in $(CLIENT_SETS); do \
	  build/lock/bin/uv pip compile tests/clients/requirements/$$set.in --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --no-emit-find-links --quiet --output-file requirements-clients-$$set.lock $(ARGS) || exit 1; \
	done
	$(BIN)/python -m tests.clients.lock_node

clean: ## Remove what the targets made
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
