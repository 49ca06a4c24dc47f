# The daily commands. Those that need Python set up .venv by themselves, and again when it has gone stale.

PYTHON ?= python3
ARGS   ?=

VENV := .venv
BIN  := $(VENV)/bin
PINS := requirements-dev.txt

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A stamp is younger than whatever its environment was installed from. Both environments are the same .venv:
# the server's packages come first and fast, the tools for developing are added when they are first asked for.
SERVE_READY := $(VENV)/.serve-ready
DEV_READY   := $(VENV)/.dev-ready

# Where, and by which Python, make made .venv. It is no use any more when the project has moved since (an editable
# install remembers its path), when its interpreter has gone, or when PYTHON names another one now.
MADE_BY  := $(VENV)/.made-by
NAMED    := $(if $(filter file default,$(origin PYTHON)),,$(PYTHON))
UNUSABLE := $(shell test -f $(MADE_BY) || exit 0; \
	{ read -r place; read -r python; } < $(MADE_BY); \
	test "$$place" = "$(CURDIR)" && test "$${python:-?}" = "$(or $(NAMED),$$python)" \
	&& $(BIN)/python -c 'import pip' >/dev/null 2>&1 || echo discard-venv)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help serve test check bench clean discard-venv

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

serve: $(SERVE_READY)  ## Run the mocked vendor; flags go in ARGS="--port 9000"
	@$(BIN)/python -m mock_server serve $(ARGS)

test: $(DEV_READY)  ## Run all tests, in parallel and in random order; pytest's options go in ARGS="-k poll"
	@$(BIN)/python -m pytest -n auto $(ARGS)

check: $(DEV_READY)  ## Format, lint, types, import directions, and the contracts' own tests
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest tests/contracts -q

bench: $(DEV_READY)  ## Measure the server beside a bare Flask app
	@$(BIN)/python benchmarks/run.py $(ARGS)

clean:  ## Remove what these commands made
	@if test -f $(MADE_BY); then rm -rf $(VENV); else rm -f $(SERVE_READY) $(DEV_READY); fi
	@rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@for folder in contracts mock_server facechain_testkit tests benchmarks; do \
		test ! -d $$folder || find $$folder -name __pycache__ -type d -prune -exec rm -rf {} +; \
	done

# Before anything is removed or made: is this a Python to make it with?
define check_python
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	echo "Python 3.10 or later is needed, and '$(PYTHON)' is not one. Name yours: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	exit 1; }; \
"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	exit 1; }
endef

# A .venv that somebody else made is used as it is, if it works.
define make_venv
$(BIN)/python -c 'import pip' 2>/dev/null || { \
$(check_python); \
mkdir -p $(VENV) && printf '%s\n' "$(CURDIR)" "$(PYTHON)" > $(MADE_BY) && "$(PYTHON)" -m venv $(VENV); }
endef

$(SERVE_READY): pyproject.toml $(PINS) $(UNUSABLE)
	@echo "Setting up .venv with what the server needs ..."
	@$(make_venv)
	@$(BIN)/python -m pip install -qq -c $(PINS) hatchling
	@$(BIN)/python -m pip install -qq -c $(PINS) --no-build-isolation -e .
	@touch $@

$(DEV_READY): pyproject.toml $(PINS) $(UNUSABLE)
	@echo "Setting up .venv with everything for developing; the first time takes a minute or two ..."
	@$(make_venv)
	@$(BIN)/python -m pip install -qq -r $(PINS)
	@$(BIN)/python -m pip install -qq -c $(PINS) --no-build-isolation -e .
	@touch $(SERVE_READY) $@

discard-venv:
	@$(check_python)
	@rm -rf $(VENV)
