# The commands of shearbench. `make` lists them.

PYTHON ?= python3
PORT ?= 5000
TRIALS ?=
DATASET ?=
TIMEOUT ?=
REPLACE ?=
PROFILE ?=
MODEL ?=
ADOPT ?=
DIR ?=
JSON ?=
FINE_TUNE ?=
LABELS ?=
STUDY ?=
JOBS ?=
SCHEDULER ?= $(SHEARBENCH_SCHEDULER)

# What a user gives is taken as it is written: neither make nor the shell looks for commands in it. Recipes use "$$NAME".
GIVEN := PROFILE ADOPT MODEL DATASET TRIALS TIMEOUT DIR JSON LABELS STUDY FINE_TUNE REPLACE JOBS PORT $(if $(filter file,$(origin SCHEDULER)),,SCHEDULER)
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
export PROFILE MODEL DATASET TRIALS TIMEOUT DIR JSON JOBS PORT LABELS

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEV := $(VENV)/.dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
# Containers often set it. Every process would compile all that it imports: 5 CPU seconds of each.
unexport PYTHONDONTWRITEBYTECODE
export SHEARBENCH_SCHEDULER := $(SCHEDULER)

# A virtual environment holds its own path, so that it breaks when its folder is moved or renamed.
ifneq ($(filter-out help clean,$(MAKECMDGOALS)),)
ifneq ($(shell python=$$(sed -n '1s/^.!//p' $(BIN)/shearbench 2>&-); [ -z "$$python" ] || [ -x "$${python%% *}" ] || echo moved),)
$(error $(VENV) was made in another folder, which was moved or renamed since: run `rm -rf $(VENV) && make setup`)
endif
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup dev servers profile repro test test-slow tune handwriting ui check lock hashes audit clean

help:  ## print the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.lock requirements.hashes pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
	  f"shearbench needs Python 3.11 to 3.13, and {sys.executable} is {sys.version.split()[0]}; run: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes -r requirements.hashes
	$(PIP) --constraint requirements.lock torch torchvision
	$(PIP) --no-deps --editable .
	rm -rf $(VENV)/lib/python3*/site-packages/torch/test  # 83 MB, torch's own
	touch $@

$(DEV): $(INSTALLED) requirements.dev
	$(PIP) --no-deps --require-hashes -r requirements.dev
	touch $@

setup: $(INSTALLED) $(if $(SCHEDULER),$(DEV))  ## make .venv with pinned dependencies, and the data (ADOPT=1 adopts changed sources)
	shearbench data $(if $(ADOPT),--adopt)

profile: $(INSTALLED)
	@$(if $(PROFILE),shearbench profile "$$PROFILE",:)

at-once = dvc stage list --name-only | grep -E '^($(1))(@|$$)' | xargs -r -P "$$JOBS" -n 1 dvc --wait-for-lock repro -s

repro: profile setup  ## run what is not up to date, then print the comparison (PROFILE=hour; PROFILE=full ADOPT=1; SCHEDULER=tcp://HOST:PORT: on a cluster; JOBS=8: stages at once)
	shearbench check
	$(if $(JOBS),dvc repro datasets training_configs)
	$(if $(JOBS),$(call at-once,severity|explore|train|ablation))
	$(if $(JOBS),$(call at-once,evaluate|ablation_result))
	shearbench repro
	shearbench results

dev: $(DEV)  ## install what tests, checks, clusters and optuna-dashboard need

servers: $(DEV)  ## install drivers for PostgreSQL and S3, and moto's server for their tests
	$(PIP) --no-deps --require-hashes -r requirements.servers

test: $(DEV)  ## run the tests, except slow ones
	python -m pytest -m "not slow" -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(DEV)  ## run the slow tests
	python -m pytest -m slow

tune: setup  ## search hyperparameters: make tune MODEL=resnet18 [DATASET=mnist TRIALS=40 TIMEOUT=600 REPLACE=1]
	$(if $(MODEL),,$(error name the model, as in: make tune MODEL=resnet18))
	dvc repro datasets
	shearbench tune $(if $(DATASET),--dataset "$$DATASET") $(if $(TRIALS),--trials "$$TRIALS") \
	  $(if $(TIMEOUT),--timeout "$$TIMEOUT") $(if $(REPLACE),--replace) -- "$$MODEL"

handwriting: $(INSTALLED)  ## classify a class's digits and write a page for the teacher: make handwriting DIR=path/to/pictures [LABELS=labels.csv JSON=results.json STUDY=1 FINE_TUNE=1]
	$(if $(DIR),,$(error name the folder of pictures, as in: make handwriting DIR=path/to/pictures))
	shearbench handwriting $(if $(LABELS),--labels "$$LABELS") $(if $(JSON),--json "$$JSON") $(if $(STUDY),--study) \
	  $(if $(FINE_TUNE),--fine-tune) -- "$$DIR"

ui: $(INSTALLED)  ## open MLflow on 127.0.0.1 (PORT=5000)
	shearbench ui --port "$$PORT"

check: $(DEV)  ## lint and check types
	ruff check src tests benchmarks
	ruff format --check src tests benchmarks
	mypy

lock: ## pin the newest versions that pyproject.toml allows in requirements.lock
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet torch==2.13.0 '.[dev,dask,dashboard]'
	(sed -n '/^#/p' requirements.lock; build/lock/bin/python -m pip freeze --exclude shearbench --exclude pyarrow \
	  | sed -E 's/^(torch==[0-9.]+)\+cpu$$/\1/') > build/lock/requirements.lock
	mv build/lock/requirements.lock requirements.lock && rm -rf build/lock
	$(MAKE) hashes

hashes:  ## update requirements.hashes, .dev and .servers after a change to requirements.lock
	rm -rf build/hashes && $(PYTHON) -m venv build/hashes
	build/hashes/bin/python -m pip install --quiet --disable-pip-version-check uv
	grep -vE '^(#|torch==|torchvision==)' requirements.lock > build/hashes/pins.txt
	grep -ohE '^[a-z0-9-]+==[^ ]+' requirements.servers > build/hashes/servers.in
	$(call hashed,pins.txt,found.txt)
	$(call hashed,servers.in,servers.txt)
	awk -v to=build/hashes/ '/==/ {split($$1, pin, "==")} NR == FNR {dev[pin[1]]; next} {print > (to (pin[1] in dev ? "dev.txt" : "hashes.txt"))}' \
	  requirements.dev build/hashes/found.txt
	$(foreach kind,hashes dev servers,(sed -n '/^#/p' requirements.$(kind); cat build/hashes/$(kind).txt) > build/hashes/whole.txt && \
	  mv build/hashes/whole.txt requirements.$(kind) &&) rm -rf build/hashes

hashed = build/hashes/bin/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate build/hashes/$(1) \
	  --output-file build/hashes/$(2)

audit:  ## look up known vulnerabilities of the pinned packages (needs the network)
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit --no-deps --disable-pip -r requirements.lock

clean:  ## remove what the pipeline made (build/, reports, DVC's cache); keep data, MLflow's runs and .venv
	rm -rf build .dvc/cache .dvc/tmp reports/index.html
	find reports -maxdepth 1 \( -name '*.csv' -o -name '*.json' -o -name '*.png' \) -not -name 'calibration.*' -not -name metrics.json -not -name 'writers_leak.csv' -delete
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
