# All targets work on a fresh machine with Python ≥ 3.11, git and make. Each target sets up what it needs.
#
#   make figures [STUDY=smoke|workstation|comments|full] [CORES=8]   run a study, make its figures, tables and report
#   make figures PROFILE=slurm                              the same, with jobs sent to a cluster: docs/slurm.md
#   make test                                               the whole suite
#   make test-slurm [ONLY=…]                                start a SLURM cluster here; test a study and faults on it
#   make faults                                             kill a training job 20 times; the suite kills it 3 times
#   make costs                                              check the predicted memory of every job; the suite checks some
#   make lint                                               style, types, workflow
#   make bench                                              time training, saliency, duels and planning; refresh their tables
#   make readme                                             run the workstation study; refresh the README's results
#   make reference                                          regenerate the files that are generated from models
#   make clean STUDY=smoke                                  remove a study's results, state included

STUDY ?= workstation
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
PYTHON ?= python3
BIN := .venv/bin
# A copied or moved folder runs its own code, although its environment still names the old path.
export PYTHONPATH := $(CURDIR)/src
COMMAND := $(BIN)/python -m general_circuits.cli

.DELETE_ON_ERROR:
.PHONY: figures test test-jobs test-others test-slurm faults costs lint bench readme reference clean

figures: .venv/runtime
	@$(COMMAND) run --study $(STUDY) --cores $(CORES) $(if $(PROFILE),--profile $(PROFILE))

# Two processes, since every test uses one thread. Tests that start jobs, without those of branches, take as long as all
# other tests.
BRANCHES = tests/stages/test_branch_jobs.py

test: .venv/dev
	@$(MAKE) --jobs=2 --no-print-directory test-jobs test-others

test-jobs: .venv/dev
	$(BIN)/python -m pytest tests/workflow tests/stages --ignore $(BRANCHES)

test-others: .venv/dev
	$(BIN)/python -m pytest --ignore tests/workflow \
	    $(addprefix --ignore=,$(filter-out $(BRANCHES),$(wildcard tests/stages/test_*.py)))

test-slurm: .venv/dev
	tests/slurm/install
	$(BIN)/python -m pytest -m slurm -rs tests/slurm $(if $(ONLY),-k "$(ONLY)")

faults: .venv/dev
	KILLS=20 $(BIN)/python -m pytest tests/stages/test_train_block.py

costs: .venv/dev
	EVERY_COST=1 $(BIN)/python -m pytest tests/pipeline/test_memory.py

lint: .venv/dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest tests/test_english.py
	$(BIN)/python -m snakefmt --check Snakefile workflow
	$(BIN)/python -m snakemake --lint
	$(COMMAND) reference --check

bench: .venv/runtime
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/saliency.py
	$(BIN)/python benchmarks/duels.py
	$(BIN)/python benchmarks/scale.py

readme: .venv/runtime
	@$(COMMAND) run --study workstation --cores $(CORES)
	@$(COMMAND) readme

reference: .venv/runtime
	$(COMMAND) reference

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
