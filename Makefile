# All targets work on a fresh machine with Python 3.11, 3.12 or 3.13, git and make. Each target sets up what it needs.
#
#   make figures [STUDY=smoke|workstation|comments|full] [CORES=8]   run a study, make its figures, tables and report
#   make figures PROFILE=slurm                              the same, with jobs sent to a cluster: docs/slurm.md
#   make test                                               the whole suite
#   make test-slurm [ONLY=…]                                start a SLURM cluster here; test a study and faults on it
#   make faults                                             kill a training job and a study 30 times, damage every input;
#                                                           the suite does some of it
#   make fuzz                                               try 5,000 random configs, plan 200, run 200; the suite tries some
#   make costs                                              check the predicted memory of every job; the suite checks some
#   make lint                                               style, types, workflow
#   make bench                                              time training, saliency, duels, planning and seals; refresh tables
#   make readme                                             run the workstation study; refresh the README's results
#   make reference                                          regenerate the files that are generated from models
#   make clean STUDY=smoke                                  remove a study's results, state included

STUDY ?= workstation
CORES ?= all
PYTHON ?= python3
BIN := .venv/bin
# A copied or moved folder runs its own code, although its environment still names the old path.
export PYTHONPATH := $(CURDIR)/src
# A user's own settings of Python and matplotlib end no command.
unexport MPLBACKEND PYTHONHOME PYTHONINSPECT PYTHONIOENCODING PYTHONOPTIMIZE PYTHONWARNINGS
COMMAND := $(BIN)/python -m general_circuits.cli

.DELETE_ON_ERROR:
.PHONY: .venv/runtime .venv/dev figures test test-jobs test-others test-slurm faults fuzz costs lint bench readme reference clean

figures: .venv/runtime
	@$(COMMAND) run --study "$(STUDY)" --cores "$(CORES)" $(if $(PROFILE),--profile $(PROFILE))

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
	KILLS=30 DAMAGE=1 $(BIN)/python -m pytest tests/stages/test_train_block.py tests/workflow/test_faults.py \
	    tests/workflow/test_damage.py

fuzz: .venv/dev
	FUZZED=5000 PLANNED=200 RUN=200 $(BIN)/python -m pytest tests/config/test_fuzz.py tests/workflow/test_random_studies.py

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
	$(COMMAND) run --study smoke --cores "$(CORES)"
	$(BIN)/python benchmarks/seals.py

readme: .venv/runtime
	@$(COMMAND) run --study workstation --cores "$(CORES)"
	@$(COMMAND) readme

reference: .venv/runtime
	$(COMMAND) reference

clean:
	@case "$(STUDY)" in ""|*/*|.*) echo "make clean: STUDY=$(STUDY): name one study" >&2; exit 1;; esac
	rm -rf "results/$(STUDY)"

# The Python of .venv if it fits, or else PYTHON, brings .venv up to date.
FITS := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

.venv/dev: | .venv/runtime

.venv/runtime .venv/dev:
	@for python in $(BIN)/python $(PYTHON); do \
		if $$python $(FITS) 2>/dev/null; then exec $$python -P src/general_circuits/running/install.py $(@F); fi; \
	done; \
	echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13; name one that is: make PYTHON=python3.13 …" >&2; exit 1
