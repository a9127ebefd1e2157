# `make demo` and `make test` do all their set-up: they need Python >= 3.11, git and make.
#   make test ARGS="-k update"     the tests that match
#   make test-full                 the long forms too
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARTS := .cache/parts
ARGS ?=

# A Kubernetes kit, a collection of real repositories and the forges' descriptions of their APIs, where they lie
# beside this folder; else the tests that want them say how to get them.
KIT := $(wildcard ../shared/cluster/cluster)
CORPUS := $(wildcard ../shared/corpus)
SPECS := $(wildcard ../shared/specs)
ifneq ($(KIT),)
export CI_GITOPS_TEST_CLUSTER ?= $(abspath $(KIT))
endif
ifneq ($(CORPUS),)
export CI_GITOPS_TEST_CORPUS ?= $(abspath $(CORPUS))
endif
ifneq ($(SPECS),)
export CI_GITOPS_TEST_SPECS ?= $(abspath $(SPECS))
endif

# What is compiled once is not compiled again by every worker.
unexport PYTHONDONTWRITEBYTECODE

PYTEST = PATH="$(CURDIR)/$(PARTS)/bin:$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo test test-full lint format docs pictures bench lock wheels image parts clean

help:
	@echo 'make demo        the whole road on this machine, with no account'
	@echo 'make test        the tests (about 10 minutes), with the real parts that this machine can have'
	@echo 'make test-full   the tests in their long forms'
	@echo 'make lint        style, types and layers'
	@echo 'make format      put the code in form'
	@echo 'make docs        write the parts of docs/ that the program itself knows, and build the site in site/'
	@echo 'make pictures    record the pictures of docs/ anew'
	@echo 'make bench       side-by-side measurements: ratios and medians'
	@echo 'make image       the container image, by Docker; TARGET=cluster for the small one'
	@echo 'make lock        compile the lock files again'
	@echo 'make clean       remove what these made'

demo: $(VENV)/.runtime
	@$(BIN)/ci-gitops demo $(ARGS)
	@echo 'Here ci-gitops is $(BIN)/ci-gitops.'

test: ready
	@$(PYTEST) -n 4 --dist loadgroup --durations 15 $(ARGS)

test-full: export CI_GITOPS_TEST_FULL = 1
test-full: ready
	@$(PYTEST) -n 4 --dist loadgroup --durations 30 -m '' --timeout 3600 $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/python -m docs.generate
	$(BIN)/python -m tests.rig.settings_docs
	$(BIN)/python -m tests.rig.template_docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo 'Open site/index.html'

pictures: $(VENV)/.dev parts
	@PATH="$(CURDIR)/$(PARTS)/bin:$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m docs.recordings

bench: ready
	@PATH="$(CURDIR)/$(PARTS)/bin:$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks $(ARGS)

parts: | $(VENV)/bin/python
	@$(BIN)/python tests/rig/install.py $(PARTS)

# Python's packages and the other parts come beside each other.
ready: | $(VENV)/bin/python
	@$(MAKE) --no-print-directory --jobs=2 $(VENV)/.collected parts

# Tests that were compiled once need not be by every worker.
$(VENV)/.collected: $(VENV)/.dev
	@$(PYTEST) --collect-only -n0 -qq >/dev/null 2>&1 || true
	@touch $@

lock: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --upgrade pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --upgrade --group dev pyproject.toml --output-file requirements-dev.lock

# What the Dockerfile takes from dist/wheels; with TOOLS=local it takes programs from dist/tools/ARCHITECTURE too.
wheels: | $(VENV)/bin/python
	@rm -rf dist/wheels
	@PIP="$(BIN)/python -m pip" image/download-wheels dist/wheels

TARGET ?= full
image: wheels
	@docker buildx build --target $(TARGET) --tag ci-gitops:$(TARGET) --load \
	  --build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' ci_gitops/__init__.py)" \
	  --build-arg REVISION="$$(git rev-parse HEAD)" \
	  --build-arg CREATED="$$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)" \
	  --build-arg SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" $(ARGS) .

clean:
	rm -rf $(VENV) .cache dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ci-gitops needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Set PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && \
	    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv </dev/null >/dev/null; } || \
	  { echo 'Python has no venv here. On Debian: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Making $(VENV) …'
	@$(PYTHON) -m venv $(VENV)
	@printf '%s\n' '$(CURDIR)' > "$$($@ -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ci_gitops.pth"
	@printf '#!/bin/sh\nexec "%s/python" -P -m ci_gitops "$$@"\n' '$(CURDIR)/$(BIN)' > $(BIN)/ci-gitops
	@chmod +x $(BIN)/ci-gitops

# The lock files hold hashes: what is installed is what was locked.
$(VENV)/.runtime: requirements.lock | $(VENV)/bin/python
	@echo 'Installing what the program needs …'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo 'Installing what the tests need …'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
