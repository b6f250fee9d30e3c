# Everything from a fresh machine with Python ≥ 3.11, git and make. Set-up is part of every target.
#
#   make figures [STUDY=smoke|workstation|full] [CORES=8]   run a study, make its figures, tables and report
#   make test                                               the whole suite
#   make lint                                               style, types, workflow
#   make reference                                          regenerate what is generated from the config's models
#   make clean STUDY=smoke                                  remove a study's results, state included

STUDY ?= workstation
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
PYTHON ?= python3
BIN := .venv/bin

.DELETE_ON_ERROR:
.PHONY: figures test lint reference clean

figures: .venv/runtime
	@$(BIN)/general-circuits run --study $(STUDY) --cores $(CORES)

test: .venv/dev
	$(BIN)/python -m pytest

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/general-circuits reference --check

reference: .venv/runtime
	$(BIN)/general-circuits reference

clean:
	@case "$(STUDY)" in ""|*/*|.*) echo "make clean: STUDY=$(STUDY): name one study" >&2; exit 1;; esac
	rm -rf "results/$(STUDY)"

.venv/runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $$($(PYTHON) --version) is too old: Python 3.11 or newer is needed (make PYTHON=python3.12 …)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/dev: .venv/runtime
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
