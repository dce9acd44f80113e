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
UV_INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python
EDITABLE := --no-deps --no-build-isolation -e .
# to put pip into a new environment takes longer than all that uv does; the pip of this machine's
# Python can serve it from outside (since 22.3), where there is one
UV_BY_PIP_HERE = { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip \
	--python $(BIN)/python install --quiet --disable-pip-version-check "$(UV)"; } 2>/dev/null
UV_BY_PIP_THERE = { $(PYTHON) -m venv --clear $(VENV) && $(PIP_INSTALL) "$(UV)"; }

export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
# what runs side by side takes a core each: threads of BLAS under them cost more than they give
export OPENBLAS_NUM_THREADS ?= 1
# glibc keeps the memory of large arrays for the next ones: to give each back costs a page fault for
# every 4 kB of it (a third of the system's time of a build); other C libraries pass it over
export MALLOC_MMAP_THRESHOLD_ ?= 134217728
export MALLOC_TRIM_THRESHOLD_ ?= 268435456
# modules are compiled once and not by every process, whatever the machine was told
export PYTHONDONTWRITEBYTECODE :=
# "last updated" on the pages is the date of the last commit, so that a build can be repeated
export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || date +%s)

# figures become files in what is built or tested; a reader's notebook shows them (`make notebook`)
book test check check-tests check-chapters unit nightly lowest mutants chapters processors site bench refresh report: \
	export MPLBACKEND := agg

.PHONY: help book pdf publish links test check check-tests check-chapters lint types unit nightly lowest mutants chapters processors site golden rooms audit browser browsers bench refresh report notebook notebooks teacher slides lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with PYTHON=…")'
	@echo "Making the environment in $(VENV) (1 GB; about 10 s, with pip alone some minutes)"
	@if [ -n "$(UV)" ] && { $(UV_BY_PIP_HERE) || $(UV_BY_PIP_THERE); } \
		&& $(UV_INSTALL) -r requirements.txt && $(UV_INSTALL) $(EDITABLE); then :; else \
		echo "Installing with pip, because uv is $(if $(UV),not to be had here (see above),not wanted)"; \
		$(PYTHON) -m venv --clear $(VENV); \
		$(PIP_INSTALL) -r requirements.txt; $(PIP_INSTALL) $(EDITABLE); fi
	@touch $@

book: $(READY) ## execute the chapters and build the site into _build/html
	@$(BIN)/python build_tools/build.py
	@echo "Open $(SITE)/index.html"

pdf: $(READY) browser ## print the built pages into _build/nrm-book.pdf, with solutions if SOLUTIONS=1 (after `make book`)
	$(BIN)/python build_tools/pdf.py $(if $(SOLUTIONS),--solutions) "$$($(BIN)/python tests/site/browser.py)"

publish: book pdf ## the site as a host shows it: built again with the printed book among its downloads
	rm -f _build/complete.json
	@$(BIN)/python build_tools/build.py

links: $(READY) ## ask every address outside the built site whether it is still there (after `make book`)
	$(BIN)/python build_tools/links.py

# the book first: the tests take over what it computed of the review for the same code and data;
# types beside the tests: a core that waits for a browser, or for the last test, has work
test: $(READY) ## run every check; ends with the time of each part and the slowest tests
	@$(BIN)/python build_tools/parts.py lint book chapters types+unit+site
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
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci .gitlab-ci.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[0-9]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

types: $(READY) ## types of the helpers
	$(BIN)/pyrefly check --min-severity error

unit: $(READY) ## tests of the helpers, the data and the prose, with the examples in the docstrings
	$(PYTEST_HERE) --junitxml=$(RECORDS)/unit.xml --after-build $(PYTEST) helpers tests book/_ext build_tools --ignore=tests/site

nightly: $(READY) ## the longer runs of tests that `make test` runs in short, scripts in R among them (weekly)
	$(PYTEST_HERE) -m nightly --durations=20 tests --ignore=tests/site

chapters: $(READY) ## compare the stored outputs of chapters (all, or CHAPTERS=…) with those of the build, strictly
	PYTHONPATH=tests:build_tools $(BIN)/pytest $(or $(CHAPTERS),book) -p stored_outputs \
		--nbval-sanitize-with tests/nbval_sanitize.cfg -p no:cacheprovider -o addopts= --no-header -q
	$(if $(CHAPTERS),,@$(BIN)/python -c 'import pathlib; from helpers.reference import status; status.see(pathlib.Path.cwd())')

LOWEST := _build/lowest
# without the tests that compare with packages which that environment does not have
LOWEST_TESTS := helpers tests/engine/test_effects.py $(filter-out %/test_data.py %/test_own_spreadsheets.py, \
	$(wildcard tests/evidence/*.py)) $(wildcard tests/engine/test_glmm*.py \
	tests/engine/test_influence*.py tests/models/test_pooling_re*.py tests/models/test_regression*.py \
	tests/models/test_subgroup*.py)
lowest: $(READY) ## tests of the engine on the lowest versions that pyproject.toml allows (in their own environment)
	$(PIP_INSTALL) "$(UV)"
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[all]" \
		$(shell grep -E '^(hypothesis|pytest)==' requirements.txt)
	$(LOWEST)/bin/python -m pytest -q $(LOWEST_TESTS)

mutants: $(READY) ## change the engine a little, COUNT=100 times, and see whether its tests notice (an hour)
	$(PIP_INSTALL) "$(UV)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target _build/mutants/tool -r build_tools/mutants.txt
	$(BIN)/python build_tools/mutants.py $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

# Each line makes numpy and OpenBLAS compute as on another kind of processor. On a processor that
# lacks an instruction they say so and compute as it can.
processors: $(READY) ## run every chapter as on other processors, and compare the stored outputs (minutes)
	OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" $(MAKE) chapters
	OPENBLAS_CORETYPE=Zen NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" $(MAKE) chapters
	OPENBLAS_CORETYPE=Prescott NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR" $(MAKE) chapters
	OPENBLAS_CORETYPE=SkylakeX $(MAKE) chapters

site: $(READY) browsers ## tests of the built site in Chromium, Firefox and WebKit (after `make book`)
	$(PYTEST_HERE) --junitxml=$(RECORDS)/site.xml tests/site

golden: $(READY) ## compare what the built pages say with tests/golden; ACCEPT=1 stores it (after `make book`)
	@$(BIN)/python build_tools/golden.py $(if $(ACCEPT),--accept)

rooms: $(READY) ## draw the rooms of helpers and their arrows from the code into CONTRIBUTING.md
	@$(BIN)/python build_tools/rooms.py

# npm writes below _build alone; the lock file pins what it installs
AUDIT := _build/audit
$(AUDIT)/node_modules/.ready: tests/site/audit/package.json tests/site/audit/package-lock.json
	mkdir -p $(AUDIT)
	cp $^ $(AUDIT)
	npm ci --prefix $(AUDIT) --no-audit --no-fund
	@touch $@

audit: $(READY) browser $(AUDIT)/node_modules/.ready ## axe, markup, Lighthouse, weight, tasks and paper of the built pages (all, or PAGES="pooling.html …"; QUICK=1 without Lighthouse; needs npm and Java)
	$(BIN)/python tests/site/audit.py $(if $(QUICK),--no-lighthouse) $(PAGES)
	$(if $(PAGES),,$(PYTEST_HERE) -m nightly tests/site)

browser: $(READY) ## find Chromium, or install Debian's where that is possible
	@$(BIN)/python tests/site/browser.py --install chromium

browsers: $(READY) ## the same of Chromium, Firefox and WebKit; what is missing `make site` names at its end
	@$(BIN)/python tests/site/browser.py --install

bench: $(READY) ## time the engine, and metafor beside it where R has it
	$(BIN)/python benchmarks/run.py

refresh: $(READY) ## store the outputs of chapters in place (all, or CHAPTERS="book/pooling.ipynb …")
	$(BIN)/python build_tools/chapters.py $(if $(AGAIN),--again) $(CHAPTERS)

# names are separated by blanks in make: a path with blanks goes to `python -m helpers report`
report: $(READY) ## make a report of your own table (TABLE=my.csv, further options in OPTIONS="--by arm --out my-report")
	@test -n "$(TABLE)" || { echo "name a table: make report TABLE=my.csv" >&2; exit 2; }
	$(BIN)/python -m helpers report "$(TABLE)" $(OPTIONS)

notebook: $(READY) ## open JupyterLab on the chapters, helpers importable
	$(BIN)/jupyter lab book

notebooks: $(READY) ## write student, teacher and plain notebooks into _build/notebooks
	$(BIN)/python build_tools/notebooks.py

teacher: $(READY) ## write what teachers alone should have into _build/teacher.zip, with an exam of SEED=7 (after `make book`)
	$(BIN)/python build_tools/teacher.py --seed "$(or $(SEED),7)" $$($(BIN)/python tests/site/browser.py | sed -n 's|^/|--chromium /|p')

slides: $(READY) browser ## write the slides of the built site as PDF and PowerPoint into _build/slides (after `make book`)
	$(PIP_INSTALL) "$(UV)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target _build/slides/tool -r build_tools/slides.txt
	$(BIN)/python build_tools/slide_files.py --chromium "$$($(BIN)/python tests/site/browser.py)" $(SETS)

lock: $(READY) ## compile requirements.in into exact pins (requirements.txt)
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --allow-unsafe --no-emit-find-links \
		--no-emit-index-url --output-file requirements.txt requirements.in

clean: ## delete what was built (the environment stays)
	rm -rf _build
