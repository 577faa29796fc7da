# Marina: every verb, self-documented. `make` alone lists them.

# ── what to do it with ──────────────────────────────────────────────────────────────────────────────────────────────
MODELS  ?= starter#  starter, all, or names: MODELS="lenet resnet18"
VERSION ?= 1.0#      of the model to train, archive, register, ...
PRESET  ?= full#     full trains to the floor; quick takes a few steps
DATA    ?=#          a data set's name or folder, in place of the card's
PYTHON  ?= python3.11
JOBS    ?= 2#        models trained and packed side by side, each on its share of the cores

SHELL     := bash
VENV      ?= .venv
PY        := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
ALL       := $(filter-out __init__ card,$(notdir $(basename $(wildcard models/*.py))))
STARTER   := $(notdir $(basename $(shell grep -l '^    starter=True' models/*.py)))
CHOSEN    := $(or $(MODEL),$(foreach name,$(MODELS),$(or $(if $(filter starter,$(name)),$(STARTER)),$(if $(filter all,$(name)),$(ALL)),$(name))))
# These go first, or one core waits at the end while the other is still at one of them; bert_classifier begins with bert.
LONG      := bert rnn_lm transformer bert_classifier text_cnn
NAMES     := $(foreach name,$(LONG),$(filter $(name),$(CHOSEN))) $(filter-out $(LONG),$(CHOSEN))
TRAINED   := $(NAMES:%=artifacts/%/$(VERSION)/card.json)
ARCHIVES  := $(NAMES:%=archive/store/%-$(VERSION).mar)
PACKAGES  := models handlers training archive serving routing control locustfile.py
OURS      := $(PACKAGES) benchmarks tests
REASON     = $(if $(WHY),--why "$(WHY)")
# "3 of 7"
position   = $(shell printf '%s\n' $(NAMES) | grep -nx $(1) | cut -d: -f1) of $(words $(NAMES))
# Models that another's training begins with, as long as they are not there. Only what was asked for gets PRESET and DATA.
beginnings  = $(filter-out $(wildcard artifacts/*/1.0/card.json),$(patsubst %,artifacts/%/1.0/card.json,$(1)))
asked       = $(if $(filter $(1),$(NAMES)),$(2),$(3))
# Given any of these, training is asked to look again at what is there; it knows by itself what is up to date.
AGAIN     := $(if $(DATA)$(filter command line environment,$(origin PRESET)),FORCE)

# Two small networks, a core each, are trained in half of the time that they take one after the other on both cores.
# Only where all goals make something: `make stop serve` must do one after the other.
ifneq ($(and $(word 2,$(NAMES)),$(filter train archive test,$(MAKECMDGOALS))),)
ifeq ($(filter-out train archive test,$(MAKECMDGOALS)),)
MAKEFLAGS += --jobs=$(JOBS)
artifacts/%: export OMP_NUM_THREADS := $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores > $(JOBS) ? cores / $(JOBS) : 1)))
endif
endif

.DEFAULT_GOAL := help
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: FORCE help install data train archive sign verify serve stop status logs register scale set-default retire \
        predict explain token load-test export gpu-check test test-zoo mutate lint clean clean-all \
        bench ab ab-create ab-weights ab-promote ab-rollback ab-mirror ab-stop ab-report

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo "Variables:"; sed -n 's/^\([A-Z]*\) *?= *\([^#]*\)# *\(.*\)/  \1=\2\t\3/p' $(MAKEFILE_LIST)

# ── setting up ──────────────────────────────────────────────────────────────────────────────────────────────────────
install: $(INSTALLED) ## make the virtual environment (TORCH_INDEX=<url of an index of CPU-only wheels> for a small torch)

$(INSTALLED): requirements.lock requirements-data.lock
	@command -v $(PYTHON) >/dev/null || { echo "Marina needs Python 3.11: not found as $(PYTHON). Say PYTHON=<path>."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(PY) -m pip install --index-url $(TORCH_INDEX) $$(grep -E '^torch(vision)?==' requirements.lock))
	$(PY) -m pip install -r requirements.lock
	$(PY) -m pip install --no-deps -r requirements-data.lock
	@touch $@

# ── from a network to an archive ────────────────────────────────────────────────────────────────────────────────────
data: $(INSTALLED) ## write the embedded data sets of MODELS under data/
	$(PY) -m training data $(NAMES)

train: $(TRAINED) ## train MODELS, or MODEL= [VERSION=2.0] [DATA=path] [PRESET=quick]; Ctrl-C and again resumes

artifacts/%/$(VERSION)/card.json: models/%.py $(AGAIN) | $(INSTALLED)
	$(PY) -m training train $* --version $(VERSION) --preset $(call asked,$*,$(PRESET),full) \
	    $(call asked,$*,$(DATA:%=--data %)) --position "$(call position,$*)" $(FLAGS)

artifacts/invoice/$(VERSION)/card.json: | $(if $(filter 1.0,$(VERSION)),$(call beginnings,ctpn crnn))
artifacts/bert_classifier/$(VERSION)/card.json: | $(if $(filter 1.0,$(VERSION)),$(call beginnings,bert))

models/%.py:
	@echo "There is no model $*. There are: $(ALL)"; exit 1

archive: $(ARCHIVES) ## train what is not trained, and pack MODELS (or MODEL=) into signed archives

archive/store/%-$(VERSION).mar: artifacts/%/$(VERSION)/card.json | $(INSTALLED)
	$(PY) -m archive build $* --version $(VERSION) --preset $(PRESET) --position "$(call position,$*)"

# What each archive was made from, written when it was made.
-include $(wildcard archive/store/*.d)

sign: $(INSTALLED) ## take responsibility for an archive from elsewhere: MAR=path
	$(PY) -m archive sign $(MAR)

verify: $(INSTALLED) ## check the signature of every archive in the store
	$(PY) -m archive verify

export: $(TRAINED) ## MODEL= FORMAT=onnx|torchscript|torch_export, compared with the eager network
	$(PY) -m archive export $(MODEL) --version $(VERSION) --format $(FORMAT)

# ── serving ─────────────────────────────────────────────────────────────────────────────────────────────────────────
serve: $(INSTALLED) ## serve MODELS on 127.0.0.1:8000 (CERT= KEY= for HTTPS); returns when all are ready
	$(if $(CERT),MARINA_CERT=$(CERT) MARINA_KEY=$(KEY)) $(PY) -m serving start $(sort $(NAMES))

stop status logs token gpu-check: $(INSTALLED)
	@$(PY) -m serving $@
stop: ## stop the bundle
status: ## what runs, and what is ready
logs: ## follow the logs
token: ## print the headers for TorchServe's own APIs
gpu-check: ## prove that the workers use the GPUs, where there are any

register: $(INSTALLED) ## add MODEL= VERSION= to the running bundle
	@$(PY) -m serving register $(MODEL) $(VERSION)

scale: $(INSTALLED) ## MODEL= VERSION= WORKERS=
	@$(PY) -m serving scale $(MODEL) $(VERSION) $(WORKERS)

set-default: $(INSTALLED) ## make VERSION= the one that /predictions/MODEL answers with
	@$(PY) -m serving set-default $(MODEL) $(VERSION)

retire: $(INSTALLED) ## drain MODEL= VERSION= and take it out of service; its archive stays
	@$(PY) -m serving retire $(MODEL) $(VERSION)

predict explain: $(INSTALLED)
	@$(PY) -m serving $@ $(MODEL) $(FILE)
predict: ## ask MODEL= about FILE=
explain: ## ask MODEL= why, about FILE=

load-test: $(INSTALLED) ## locust without its page: USERS=20 RATE=5 TIME=30s MODEL=; report in var/reports/
	@mkdir -p var/reports
	MODELS="$(NAMES)" $(VENV)/bin/locust --headless --users $(or $(USERS),20) --spawn-rate $(or $(RATE),5) --run-time $(or $(TIME),30s) \
	    --only-summary --html var/reports/load-test.html --csv var/reports/load-test

# ── experiments ─────────────────────────────────────────────────────────────────────────────────────────────────────
ab: $(INSTALLED) ## the experiments that run: shares, errors, latencies, rewards
	@$(PY) -m routing show

ab-create: $(INSTALLED) ## start EXP= of routing/experiments.yaml [WHY=]
	@$(PY) -m routing create $(EXP) $(REASON)

ab-weights: $(INSTALLED) ## EXP= WEIGHTS="resnet18@1.0=80 mobilenet_v1@1.0=20" [WHY=]
	@$(PY) -m routing weights $(EXP) "$(WEIGHTS)" $(REASON)

ab-promote: $(INSTALLED) ## give everybody VARIANT= of EXP= [WHY=]
	@$(PY) -m routing promote $(EXP) $(VARIANT) $(REASON)

ab-rollback: $(INSTALLED) ## restore what was before the last change of EXP= [WHY=]
	@$(PY) -m routing rollback $(EXP) $(REASON)

ab-mirror: $(INSTALLED) ## copy PERCENT= of the requests of EXP= to TO=, and compare [WHY=]
	@$(PY) -m routing mirror $(EXP) $(TO) $(PERCENT) $(REASON)

ab-stop: $(INSTALLED) ## end EXP= [WHY=]
	@$(PY) -m routing stop $(EXP) $(REASON)

ab-report: $(INSTALLED) ## save a page with plots and verdict of EXP= under var/reports/
	@$(PY) -m routing report $(EXP)

# ── checking ────────────────────────────────────────────────────────────────────────────────────────────────────────
test: $(STARTER:%=archive/store/%-1.0.mar) ## run the tests, on trained starter models
	$(PY) -m pytest $(ARGS)

bench: $(INSTALLED) ## what things cost beside others, as ratios; QUICK=1, or BENCH= fleet, training, mirror, streaming, peers (installs them); ARGS=
	$(PY) -m benchmarks$(BENCH:%=.%) $(ARGS)

test-zoo: ## train and archive all models in full, check every floor, write docs/zoo.md and docs/pictures/
	$(MAKE) archive MODELS=all
	$(PY) -m archive zoo

mutate: $(INSTALLED) ## mutation score of PATHS="handlers/base.py ..." by their nearest tests, or by TESTS="tests/test_base.py ..."
	$(PY) tests/mutate.py $(PATHS) $(TESTS:%=--tests %) $(ARGS)

lint: $(INSTALLED) ## ruff, ruff format, mypy --strict
	$(VENV)/bin/ruff check $(OURS)
	$(VENV)/bin/ruff format --check $(OURS)
	$(VENV)/bin/mypy $(PACKAGES)

clean: ## stop the bundle; remove archives, logs and caches; keep trained weights, data and keys
	@[ ! -f var/run/supervisord.pid ] || $(PY) -m serving stop
	rm -rf archive/store var/logs var/run var/tmp var/reports .pytest_cache .mypy_cache .ruff_cache
	find $(wildcard $(OURS)) -name __pycache__ -prune -exec rm -rf {} +

clean-all: clean ## remove trained weights, data and keys, too
	rm -rf artifacts data var
