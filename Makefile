# Two commands do everything on a fresh machine: `make book` and `make test`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE := _build/html
CORES ?= 2
RECORDS := _build/tests
# plugins that no test here uses and every worker would load
PYTEST_HERE = $(BIN)/pytest -n $(CORES) --dist worksteal -p no:nbval -p no:anyio -p no:typeguard
# installs in seconds what pip installs in minutes; `make book UV=` does without
UV ?= uv==0.13.9
PIP_INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check

export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
# modules are compiled once and not by every process, whatever the machine was told
export PYTHONDONTWRITEBYTECODE :=
# "last updated" on the pages is the date of the last commit, so that a build can be repeated
export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || date +%s)

# figures become files in what is built or tested; a reader's notebook shows them (`make notebook`)
book test check check-tests check-chapters unit nightly lowest mutants chapters processors site bench refresh report: \
	export MPLBACKEND := agg

.PHONY: help book pdf test check check-tests check-chapters lint types unit nightly lowest mutants chapters processors site golden rooms audit browser browsers bench refresh report notebook notebooks teacher lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with PYTHON=…")'
	@echo "Making the environment in $(VENV) (1 GB; about 10 s, with pip alone some minutes)"
	$(PYTHON) -m venv --clear $(VENV)
	@if [ -n "$(UV)" ] && $(PIP_INSTALL) "$(UV)" \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt; then :; else \
		echo "Installing with pip, because uv is $(if $(UV),not to be had here (see above),not wanted)"; \
		$(PIP_INSTALL) -r requirements.txt; fi
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

book: $(READY) ## execute the chapters and build the site into _build/html
	@$(BIN)/python build_tools/build.py
	@echo "Open $(SITE)/index.html"

pdf: $(READY) browser ## print the built pages into _build/nrm-book.pdf, with solutions if SOLUTIONS=1 (after `make book`)
	$(BIN)/python build_tools/pdf.py $(if $(SOLUTIONS),--solutions) "$$($(BIN)/python tests/site/browser.py)"

# the book first: the tests take over what it computed of the review for the same code and data
test: $(READY) ## run every check; ends with the time of each part and the slowest tests
	@$(BIN)/python build_tools/parts.py lint types+book chapters unit+site
	@echo "All checks passed."

# what differs from this commit belongs to the change
BASE ?= HEAD
check: $(READY) ## a quick look while working: lint, types, the tests and chapters that the change touches
	@$(BIN)/python build_tools/parts.py lint types+check-tests check-chapters

check-tests: $(READY)
	@tests=$$($(BIN)/python build_tools/affected.py tests --base $(BASE)); \
		if [ -n "$$tests" ]; then $(PYTEST_HERE) -q $$tests; \
		else echo "No test belongs to the change."; fi

check-chapters: $(READY)
	@chapters=$$($(BIN)/python build_tools/affected.py chapters --base $(BASE)); \
		if [ -n "$$chapters" ]; then $(MAKE) --no-print-directory chapters CHAPTERS="$$chapters"; \
		else echo "No chapter belongs to the change."; fi

lint: $(READY) ## style, common mistakes, which room imports which, files of services against their schema
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[0-9]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

types: $(READY) ## mypy on the helpers
	$(BIN)/mypy

unit: $(READY) ## tests of the helpers, the data and the prose, with the examples in the docstrings
	$(PYTEST_HERE) --junitxml=$(RECORDS)/unit.xml $(PYTEST) helpers tests book/_ext build_tools --ignore=tests/site

nightly: $(READY) ## the longer runs of tests that `make test` runs in short, scripts in R among them (weekly)
	$(PYTEST_HERE) -m nightly --durations=20 tests --ignore=tests/site
