# Annals. `make pipeline` shows what your agents cost; `make test` runs the tests.
# `make help` lists all targets. Needs Python 3.11+, make and git; uses uv where it is installed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
RUN := $(VENV)/bin/python
# Without PYTHONPATH, PYTHONINSPECT and others that were exported for other work.
OWN := $(RUN) -I
UV := $(shell command -v uv 2>/dev/null)
# The stamps in .venv stand for a Python outside of it, which may be upgraded away.
READY := $(shell .ci/drop-broken-venv $(VENV))
PYTHON ?= $(shell .ci/find-python)
PACKAGES := analytics operations flows reports sync_agent extractors loaders annals examples benchmarks
SOURCES := $(shell find $(PACKAGES) -name '*.py' -not -name '.*' 2>/dev/null)

# Arguments for the tools: make test ARGS="-k usage", make pipeline ARGS=--json
ARGS ?=
# Processes that the test suite is spread over: one more than cores, as many tests wait.
WORKERS ?= 3

ifdef UV
CREATE = test -x $(RUN) || $(UV) venv --quiet --python $(PYTHON) $(VENV)
INSTALL = $(CREATE) && $(UV) pip install --quiet --python $(RUN) --compile-bytecode
else
CREATE = test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
INSTALL = $(CREATE) && $(RUN) -m pip install --quiet --disable-pip-version-check --compile
endif

# The part of the stack that `make logs`, `make restart` and `make shell` mean.
SERVICE ?=

STACK = $(OWN) -m operations.stack
ANNALS = $(OWN) -m analytics.cli
RUN_DEPLOYMENT = $(OWN) -m flows.prefect run

.PHONY: help pipeline install agent platform develop servers test retest test-stacks soak sweep test-long check format bench clone-check lock prices reference clean \
	up down restart status logs shell up-local deploy run-pipeline run-backfill run-adhoc \
	extract load transform publish validate docs doctor backup restore sbom

help: ## list the targets
	@sed -n -e 's/^# ---- \(.*\)/\n\1/p' -e 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

# ---- The whole pipeline on this machine, without Docker

pipeline: install ## transcripts (CLAUDE_DIR, or the bundled sample) to priced, published usage
	@$(ANNALS) pipeline $(ARGS)

extract: install ## one stage: what is new in the source to the lake
	@$(ANNALS) extract $(ARGS)

load: install ## one stage: what is new in the lake to the warehouse
	@$(ANNALS) load $(ARGS)

transform: install ## one stage: rebuild what was loaded with dbt
	@$(ANNALS) transform $(ARGS)

publish: install ## one stage: publish what was built
	@$(ANNALS) publish $(ARGS)

validate: install ## prove that nothing was lost, doubled or invented
	@$(ANNALS) validate $(ARGS)

docs: install ## write the dbt docs as one page
	@$(OWN) -m operations.dbt_docs --build-only $(ARGS)

doctor: install ## check the setup and suggest fixes
	@$(ANNALS) doctor $(ARGS)

backup: install ## save lake, catalog, buffer and settings: ARGS="--to FILE"
	@$(ANNALS) backup $(ARGS)

restore: install ## bring a backup back into an empty place: ARGS="FILE"
	@$(ANNALS) restore $(ARGS)

up-local: platform ## agent, Prefect server, worker and dbt docs as processes of this machine
	@$(ANNALS) up $(ARGS)

# ---- The stack of containers (docs/deployment.md)

up: install ## build and start it, and wait until all of it is healthy
	@$(STACK) up $(SERVICE)

down: install ## stop it; an active run is finished by the next one, every volume stays
	@$(STACK) down

restart: install ## restart it, or SERVICE=name alone
	@$(STACK) restart $(SERVICE)

status: install ## health of every service, last run, lag, disk; without a stack, of this machine
	@$(STACK) status

logs: install ## follow the worker's log, or that of SERVICE=name
	@$(STACK) logs $(SERVICE)

shell: install ## a shell in the worker, or in SERVICE=name
	@$(STACK) shell $(SERVICE)

sbom: ## the bill of materials of the images, into sbom/ (needs Docker)
	@docker build --quiet --file deploy/annals/Dockerfile --target sbom --output type=local,dest=sbom .

# ---- Prefect, in the stack or from up-local

deploy: platform ## make or update the deployments; again changes nothing
	@$(OWN) -m flows.prefect deploy $(ARGS)

run-pipeline: platform ## run the hourly deployment now, and wait for it
	@$(RUN_DEPLOYMENT) pipeline/pipeline-hourly $(ARGS)

run-backfill: platform ## run the backfill: ARGS="--param name=value"
	@$(RUN_DEPLOYMENT) pipeline/pipeline-backfill $(ARGS)

run-adhoc: platform ## run the pipeline with parameters of your own: ARGS="--param name=value"
	@$(RUN_DEPLOYMENT) pipeline/pipeline-adhoc $(ARGS)

# ---- Installing, testing, checking

install: $(VENV)/.runtime $(VENV)/.project $(VENV)/.compiled ## create .venv with the locked packages

agent: ## create .venv with the sync agent alone, for machines that only ship
	@echo "installing the sync agent into $(VENV) ..." >&2
	@$(INSTALL) --require-hashes -r requirements/agent.txt
	@$(INSTALL) --no-deps --editable .

platform: install $(VENV)/.platform ## the same, and Prefect: what deployments, server and worker need

develop: platform $(VENV)/.dev ## the same, and what the tests and checks need

servers: develop ## the real servers that tests use, built with Go where that is installed
	@$(RUN) -m tests.servers.building

# Test files are compiled once: reading 33,000 lines again costs each process ten seconds.
SUITE = PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest --no-loadscope-reorder --dist loadfile

test: develop ## every test but the long ones of test-stacks, soak and sweep
	@$(SUITE) -n $(WORKERS) -m "not stack" $(ARGS)

test-stacks: develop ## real stacks at length: Prefect's runs and services, browsers, a wheel's
	@$(SUITE) -n 2 -m stack --ignore=tests/soak $(ARGS)

retest: develop ## the tests that failed last time, one after the other
	@$(RUN) -m pytest --last-failed --last-failed-no-failures none $(ARGS)

soak: develop ## everything at once for MINUTES (3): a bad network, sudden deaths, two agents
	@SOAK_SECONDS=$$(( $${MINUTES:-3} * 60 )) $(RUN) -m pytest tests/soak $(ARGS)

sweep: develop ## kill the pipeline at many points and compare what it leads to
	@SWEEP_POINTS=$${SWEEP_POINTS:-200} $(RUN) -m pytest tests/sweep --timeout=1500 $(ARGS)

test-long: test-stacks soak sweep ## all long forms: stacks, soak, sweep, builds of 1 and 3 million entries
	@VOLUME_ENTRIES=$${VOLUME_ENTRIES:-1000000,3000000} $(RUN) -m pytest tests/volumes --timeout=7200 $(ARGS)

check: develop ## format, lint, types, import contracts, language, scripts, images
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(RUN) .ci/plain_english.py
	@$(VENV)/bin/shellcheck $(filter-out %.py,$(wildcard .ci/*)) deploy/*/*.sh
	@$(VENV)/bin/hadolint deploy/*/Dockerfile

format: develop ## format the code and fix what can be fixed
	@$(RUN) -m ruff check --fix-only .
	@$(RUN) -m ruff format .

bench: develop $(VENV)/.bench ## measure speed and memory against the targets
	@$(RUN) -m benchmarks $(ARGS)

clone-check: ## both README commands in a fresh clone of HEAD
	@.ci/clone-check

lock: ## resolve pyproject.toml again into requirements/ (needs uv)
	@.ci/lock

prices: develop ## write dbt/seeds/model_prices.csv from the package genai-prices
	@$(RUN) -m loaders.price_book

reference: install ## write .env.example and docs/reference from the code
	@$(RUN) -m analytics.cli.reference

clean: ## remove .venv, caches and the sample's state; your own data is not touched
	@rm -rf $(VENV) "$${ANNALS_HOME:-$$HOME/.annals}/sample" .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.runtime: requirements/runtime.txt
	@echo "installing into $(VENV) ..." >&2
	@$(INSTALL) --require-hashes -r $<
	@touch $@

# Every package of .runtime in the same versions, and Prefect with what it brings.
$(VENV)/.platform: requirements/platform.txt $(VENV)/.runtime
	@$(INSTALL) --require-hashes -r requirements/platform.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.platform
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.runtime
	@$(INSTALL) --require-hashes -r requirements/bench.txt
	@touch $@

# The project itself, editable; its build backend is locked with the rest, so nothing is fetched.
$(VENV)/.project: pyproject.toml $(VENV)/.runtime
	@$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

# Start-up is three times as slow without compiled code, and some machines forbid writing it later.
$(VENV)/.compiled: $(SOURCES) $(VENV)/.project
	@$(RUN) -m compileall -q $(PACKAGES)
	@touch $@
