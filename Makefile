# Marina: the verbs a user types, one line each; `make` alone lists them. The work is done by `marina` (marina/cli/).

# ── what to do it with ──────────────────────────────────────────────────────────────────────────────────────────────
MODELS  ?= starter#  starter, all, or names: MODELS="lenet resnet18"
VERSION ?= 1.0#      of the model to train, archive, export; what changes a running bundle has no default
PORT    ?=#          of make serve, 8000 if not given; all other ports move by as much
PRESET  ?=#          full trains to the floor, quick takes a few steps
DATA    ?=#          a data set's name or folder, instead of the card's
TARGET  ?=#          the column of a table that is predicted: TARGET=churned
REPLACE ?=#          1 trains again and replaces weights that were made differently
SET     ?=#          options of the card: SET="epochs=20 lr=1e-3 size=96 recipe.weight_decay=0.01 serving.batch_size=4"
PRETRAINED ?=#       a .safetensors or .pth file that training starts from
FLOOR   ?=#          metrics that archives must reach: FLOOR="accuracy=0.9 f1=0.8"
ACCEPT  ?=#          1 packs models that miss their floor; their cards record it
EXTRA   ?= bundle#   what to install: bundle, serve, train or dev
PYTHON  ?=#          the interpreter for .venv; the first of 3.11 to 3.13 if not given
JOBS    ?= 2#        models trained and packed, or files of tests run, side by side, each on its share of the cores

SHELL     := bash
VENV      ?= .venv
INSTALLED := $(VENV)/.installed-$(EXTRA)
DEV       := $(VENV)/.installed-dev
CANDIDATES = $(or $(PYTHON),python3.11 python3.12 python3.13 python3 $(wildcard $(HOME)/.pyenv/versions/3.1[123].*/bin/python3))
FITS      := import sys, ensurepip, sqlite3, ssl; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PY        := $(VENV)/bin/python
MARINA    := $(PY) -m marina
NAMES     := $(or $(MODEL),$(MODELS))
GIVEN      = $(if $(filter command,$(origin VERSION)),$(VERSION))# on the command line: no default may choose what is served
MODEL_AND_VERSION = $(if $(and $(MODEL),$(GIVEN)),$(MODEL) $(GIVEN),$(error give MODEL= and VERSION=, as in \
                      `make $@ MODEL=resnet18 VERSION=2.0`))
NAMED      = $(or $(MODEL),$(if $(filter-out file,$(origin MODELS)),$(MODELS)))# only what the user named
FUZZED     = tests/handlers/test_fuzz_decode.py tests/serve/attacks/test_api_fuzz.py# tests that run for FUZZ_SECONDS
OURS      := models handlers marina locustfile.py benchmarks tests
MAKING     = --version $(VERSION) --jobs $(JOBS) $(if $(DATA),--data "$(DATA)") $(if $(TARGET),--target "$(TARGET)") $(if $(PRESET),--preset $(PRESET)) $(REPLACING) $(OPTIONS)
OPTIONS    = $(SIZE:%=--size %) $(EPOCHS:%=--epochs %) $(LR:%=--lr %) $(SET:%=--set %) $(if $(PRETRAINED),--pretrained "$(PRETRAINED)")
REPLACING  = $(if $(filter-out 0,$(REPLACE)),--replace)
PACKING    = $(FLOOR:%=--floor %) $(if $(filter-out 0,$(ACCEPT)),--accept)
REASON     = $(if $(WHY),--why "$(WHY)")

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install new data train import archive sign trust verify sbom audit serve stop status logs backup restore register \
        scale set-default rollback defaults retire \
        predict explain token key-create key-list key-revoke load-test export gpu-check test test-attack fuzz test-zoo test-pythons lint mutate wheel docs lock clean clean-all \
        bench ab ab-create ab-weights ab-promote ab-rollback ab-mirror ab-stop ab-report

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo "Variables:"; sed -n 's/^\([A-Z]*\) *?= *\([^#]*\)# *\(.*\)/  \1=\2\t\3/p' $(MAKEFILE_LIST)

# ── setting up ──────────────────────────────────────────────────────────────────────────────────────────────────────
install: $(INSTALLED) ## make the virtual environment [EXTRA=serve] [PYTHON=path] [TORCH_INDEX=<index of CPU-only wheels>]

# The first interpreter that fits makes the environment. The locks are complete and have a hash for every file, so pip
# resolves nothing (--no-deps).
$(VENV)/.installed-%: requirements/%.lock requirements/torch.lock pyproject.toml
	@if [ ! -x $(PY) ]; then \
	  for python in $(CANDIDATES); do \
	    command -v $$python >/dev/null || { missing="$$missing $$python: not found;"; continue; }; \
	    $$python -c '$(FITS)' 2>/dev/null && found=$$python && break; \
	    missing="$$missing $$python: $$($$python -c '$(FITS)' 2>&1 | tail -1 | grep . || $$python -V 2>&1);"; \
	  done; \
	  [ -n "$$found" ] || { echo "Marina needs Python 3.11, 3.12 or 3.13 with venv, ssl and sqlite3. Tried:$$missing"; \
	    echo "On Debian or Ubuntu: apt-get install python3 python3-venv. Any other: PYTHON=<path of an interpreter>."; exit 1; }; \
	  echo "Using $$found ($$($$found -V))"; $$found -m venv $(VENV); \
	fi
	$(if $(TORCH_INDEX),$(PY) -m pip install --index-url $(TORCH_INDEX) $$(sed -n 's/^\(torch\(vision\)\?==[^ ]*\).*/\1/p' requirements/torch.lock))
	$(PY) -m pip install --no-deps --require-hashes $(if $(TORCH_INDEX),,-r requirements/torch.lock) -r $<
	$(PY) -m pip install --no-deps $(if $(filter bundle dev,$*),--no-build-isolation) -e .
	@touch $@ $(if $(filter dev,$*),$(VENV)/.installed-bundle)  # dev has all that bundle has

# ── from a network to an archive ────────────────────────────────────────────────────────────────────────────────────
new: $(INSTALLED) ## write files to fill in: MODEL= TASK= for a model, TASK= for a task with a model of its own
	@$(MARINA) new $(if $(MODEL),model $(MODEL) --task,task) $(or $(TASK),$(error give TASK=, as in `make new MODEL=my_net TASK=image_classification`))

data: $(INSTALLED) ## write the embedded data sets of MODELS under data/
	@$(MARINA) data $(NAMES)

train: $(INSTALLED) ## train MODELS, or MODEL= [VERSION=2.0] [DATA=path] [TARGET=column] [PRESET=quick] [SIZE=] [EPOCHS=] [LR=] [SET=] [PRETRAINED=] [REPLACE=1]; Ctrl-C and again resumes
	@$(MARINA) train $(NAMES) $(MAKING) $(FLAGS)

import: $(INSTALLED) ## serve what was trained elsewhere: NAME= WEIGHTS= [NETWORK=] [SIZE=] [TASK=] [LABELS=] [VERSION=] [DATA=] [SIGN=] [REPLACE=1] ARGS="--mean ... --std ..."
	@$(MARINA) import $(NAME) $(if $(NETWORK),--network "$(NETWORK)") --weights "$(WEIGHTS)" $(SIZE:%=--size %) $(TASK:%=--task %) $(if $(LABELS),--labels "$(LABELS)") --version $(VERSION) $(if $(DATA),--data "$(DATA)") $(SIGN:%=--sign %) $(REPLACING) $(ARGS)

archive: $(INSTALLED) ## train what is not trained, and pack MODELS (or MODEL=), signed [FLOOR="accuracy=0.9"] [ACCEPT=1]
	@$(MARINA) archive $(NAMES) $(MAKING) $(PACKING)

sign: $(INSTALLED) ## take responsibility for an archive from elsewhere: MAR=path [REPLACE=1] [FLAGS=--trust-pickles]
	@$(MARINA) sign "$(MAR)" $(REPLACING) $(FLAGS)

trust: $(INSTALLED) ## accept archives that another host signed: KEY=its signing.pub [NAME=]
	@$(MARINA) trust "$(KEY)" $(NAME:%=--name %)

verify: $(INSTALLED) ## check the signature of every archive in the store
	@$(MARINA) verify

sbom: $(INSTALLED) ## write the bill of materials of the bundle (CycloneDX) [OUT=var/reports/sbom.json]
	@mkdir -p var/reports && $(MARINA) sbom --out "$(or $(OUT),var/reports/sbom.json)"

export: $(INSTALLED) ## MODEL= FORMAT=onnx|torchscript|torch_export, compared with the eager network
	@{ test -f artifacts/$(MODEL)/$(VERSION)/card.json || $(MARINA) train $(MODEL) --version $(VERSION); } && $(MARINA) export $(MODEL) --version $(VERSION) --format $(FORMAT)

# ── serving ─────────────────────────────────────────────────────────────────────────────────────────────────────────
serve: $(INSTALLED) ## serve what was served before the stop, or MODELS= only (PORT=8800; CERT= KEY= for HTTPS; ADDRESS=, KEYS=1); returns when all are ready
	@$(MARINA) serve $(NAMED) $(if $(PORT),--port $(PORT)) $(if $(CERT),--cert $(CERT) --key $(KEY)) $(if $(CA),--ca $(CA)) $(if $(ADDRESS),--host $(ADDRESS)) $(if $(filter-out 0,$(KEYS)),--keys) $(if $(filter-out 0,$(INSECURE)),--insecure)

stop: $(INSTALLED) ## stop the bundle
	@$(MARINA) stop

status: $(INSTALLED) ## what runs, and what is ready
	@$(MARINA) status

logs: $(INSTALLED) ## follow the logs
	@$(MARINA) logs

backup: $(INSTALLED) ## save state, keys, experiments, faces, settings and archives in FILE=marina.tar.gz
	@$(MARINA) backup $(or $(FILE),$(error give FILE=, as in FILE=../marina.tar.gz)) $(ARGS)

restore: $(INSTALLED) ## put the files of FILE= in their places; what is there is moved aside
	@$(MARINA) restore $(or $(FILE),$(error give FILE=, as in FILE=../marina.tar.gz))

token: $(INSTALLED) ## print the headers for TorchServe's own APIs
	@$(MARINA) token

key-create: $(INSTALLED) ## print a new access key: SCOPE="predict:resnet18,feedback" or ROLE=reader [RATE=50] [EXPIRES=90d] [WHO=alice]
	@$(MARINA) key create $(if $(SCOPE),--scope "$(SCOPE)") $(ROLE:%=--role %) $(RATE:%=--rate %) $(EXPIRES:%=--expires %) $(WHO:%=--name %)

key-list: $(INSTALLED) ## the access keys: holder, scopes, limit, until when
	@$(MARINA) key list

key-revoke: $(INSTALLED) ## refuse the access key ID= from now on
	@$(MARINA) key revoke $(or $(ID),$(error give ID=, as `make key-list` shows it))

gpu-check: $(INSTALLED) ## prove that the workers use the GPUs, where there are any
	@$(MARINA) gpu-check

register: $(INSTALLED) ## add MODEL= VERSION= to the running bundle
	@$(MARINA) register $(MODEL_AND_VERSION)

scale: $(INSTALLED) ## MODEL= VERSION= WORKERS=
	@$(MARINA) scale $(MODEL_AND_VERSION) $(or $(WORKERS),$(error give WORKERS=, as in WORKERS=2))

set-default: $(INSTALLED) ## make VERSION= the one that /predictions/MODEL answers with [WHY=]
	@$(MARINA) set-default $(MODEL_AND_VERSION) $(REASON)

rollback: $(INSTALLED) ## restore the previous default of MODEL= [WHY=]
	@$(MARINA) rollback $(or $(MODEL),$(error give MODEL=, as in `make $@ MODEL=resnet18`)) $(REASON)

defaults: $(INSTALLED) ## each change of the default of MODEL=: version, time, user, reason
	@$(MARINA) defaults $(or $(MODEL),$(error give MODEL=, as in `make $@ MODEL=resnet18`))

retire: $(INSTALLED) ## drain MODEL= VERSION= and take it out of service; its archive stays
	@$(MARINA) retire $(MODEL_AND_VERSION)

predict: $(INSTALLED) ## send FILE= to MODEL= [VERSION=2.0], and print the prediction
	@$(MARINA) predict $(MODEL) $(FILE) $(GIVEN:%=--version %)

explain: $(INSTALLED) ## send FILE= to MODEL= [VERSION=2.0], and print the explanation
	@$(MARINA) explain $(MODEL) $(FILE) $(GIVEN:%=--version %)

load-test: $(INSTALLED) ## locust without its page: USERS=20 RATE=5 TIME=30s MODEL=; report in var/reports/
	@$(MARINA) load-test $(NAMES) $(if $(USERS),--users $(USERS)) $(if $(RATE),--rate $(RATE)) $(if $(TIME),--time $(TIME))

# ── experiments ─────────────────────────────────────────────────────────────────────────────────────────────────────
ab: $(INSTALLED) ## the experiments that run: shares, errors, latencies, rewards
	@$(MARINA) ab show

ab-create: $(INSTALLED) ## start EXP= of experiments.yaml [WHY=]
	@$(MARINA) ab create $(EXP) $(REASON)

ab-weights: $(INSTALLED) ## EXP= WEIGHTS="resnet18@1.0=80 mobilenet_v1@1.0=20" [WHY=]
	@$(MARINA) ab weights $(EXP) "$(WEIGHTS)" $(REASON)

ab-promote: $(INSTALLED) ## give everybody VARIANT= of EXP= [WHY=]
	@$(MARINA) ab promote $(EXP) $(VARIANT) $(REASON)

ab-rollback: $(INSTALLED) ## restore what was before the last change of EXP= [WHY=]
	@$(MARINA) ab rollback $(EXP) $(REASON)

ab-mirror: $(INSTALLED) ## copy PERCENT= of the requests of EXP= to TO=, and compare [WHY=]
	@$(MARINA) ab mirror $(EXP) $(TO) $(PERCENT) $(REASON)

ab-stop: $(INSTALLED) ## end EXP= [WHY=]
	@$(MARINA) ab stop $(EXP) $(REASON)

ab-report: $(INSTALLED) ## save a page with plots and verdict of EXP= under var/reports/
	@$(MARINA) ab report $(EXP)

# ── checking ────────────────────────────────────────────────────────────────────────────────────────────────────────
test: $(DEV) ## run the tests, on trained starter models
	@$(MARINA) archive starter --jobs $(JOBS)
	$(PY) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --durations 10 $(ARGS)

test-attack: $(DEV) ## attack running bundles in every way of docs/security.md, the long ones too: an hour
	@$(MARINA) archive starter --jobs $(JOBS)
	$(PY) -m pytest tests/serve/attacks tests/experiments/statistics/test_coverage.py -m "long or not long" --durations 10 $(ARGS)

fuzz: $(DEV) ## send malformed requests to every handler and every route, for TIME=60 seconds each, other ones each time
	@$(MARINA) archive starter --jobs $(JOBS)
	FUZZ_SECONDS=$(or $(TIME),60) $(PY) -m pytest $(FUZZED) -m "long or not long" --durations 5 $(ARGS)

bench: $(DEV) ## costs beside others, as ratios; QUICK=1, or BENCH= fleet, training, int8, mirror, keys, streaming, peers (installs them); ARGS=
	@$(MARINA) bench $(BENCH) -- $(ARGS)

test-zoo: $(DEV) ## train and archive all models in full, check every floor, write docs/zoo.md and docs/pictures/
	@$(MARINA) archive all --jobs $(JOBS) $(REPLACING) && $(MARINA) zoo

mutate: $(DEV) ## mutation score of PATHS="handlers/base.py ..." by their nearest tests, or by TESTS="tests/handlers/test_base.py ..."
	$(PY) tests/mutate.py $(PATHS) $(TESTS:%=--tests %) $(ARGS)

audit: $(DEV) ## check every locked package for published vulnerabilities
	$(PY) tests/lint/audit.py

lint: $(DEV) ## ruff, mypy --strict, layers of imports, copied code, wording, documentation
	$(VENV)/bin/ruff check $(OURS)
	$(VENV)/bin/ruff format --check $(OURS)
	$(VENV)/bin/mypy models handlers marina locustfile.py
	$(VENV)/bin/lint-imports
	$(VENV)/bin/jscpd
	$(PY) tests/lint/wording.py $$(git ls-files '*.py' '*.md')
	$(PY) tests/lint/file_sizes.py $$(git ls-files 'marina/*.py' 'handlers/*.py' 'models/*.py')
	$(VENV)/bin/sphinx-build -q -W docs docs/_build/html
	$(PY) tests/lint/audit.py --if-reachable

docs: $(DEV) ## build the documentation into docs/_build/html/
	$(VENV)/bin/sphinx-build -W docs docs/_build/html

# Minutes and gigabytes: torch is downloaded for each interpreter.
test-pythons: wheel ## install the serving lock into a clean environment of each Python 3.11-3.13 found, and serve from it
	@set -e; tried=; for minor in 11 12 13; do \
	  python=; for candidate in python3.$$minor $(HOME)/.pyenv/versions/3.$$minor.*/bin/python3; do \
	    $$candidate -c '$(FITS)' 2>/dev/null && python=$$candidate && break; \
	  done; \
	  [ -n "$$python" ] || { echo "3.$$minor: not found"; continue; }; \
	  env=var/tmp/python3.$$minor; rm -rf $$env; $$python -m venv $$env; \
	  $$env/bin/pip install -q --no-cache-dir --no-deps --require-hashes -r requirements/torch.lock -r requirements/serve.lock; \
	  $$env/bin/pip install -q --no-deps --no-index var/tmp/marina-*.whl; $$env/bin/pip check; \
	  du -sm --exclude='nvidia*' --exclude=triton --exclude='cuda*' $$env/lib | awk '{print $$1 " MB without CUDA libraries"}'; \
	  MARINA_TEST_COMMAND=$$env/bin/marina $(PY) -m pytest -q tests/test_packaging.py -k serves; \
	  tried="$$tried $$($$python -V | cut -d' ' -f2)"; rm -rf $$env; \
	done; echo "Tried:$${tried:- none}"

wheel: $(DEV) ## build the wheel into var/tmp/
	@rm -f var/tmp/marina-*.whl; $(PY) -m pip wheel -q --no-deps --no-build-isolation --wheel-dir var/tmp .

clean: ## stop the bundle; remove archives, logs and caches; keep trained weights, data, keys and the desired state
	@[ ! -f var/run/supervisord.pid ] || $(MARINA) stop
	rm -rf archive/store var/logs var/run var/tmp var/verified var/reports .pytest_cache .mypy_cache .ruff_cache
	find $(wildcard $(OURS)) -name __pycache__ -prune -exec rm -rf {} +

clean-all: clean ## remove trained weights, data, keys and the desired state, too
	rm -rf artifacts data var

# ── locks ───────────────────────────────────────────────────────────────────────────────────────────────────────────
# dev.lock holds everything but torch and its CUDA libraries (4 GB); those are in torch.lock, so that TORCH_INDEX can
# give a CPU build instead. All locks agree: each is held to the versions of all.txt, the first resolution.
LOCK       = UV_PYTHON_DOWNLOADS=never $(VENV)/bin/uv pip compile pyproject.toml -q --universal --generate-hashes --no-header --no-annotate
CUDA := triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc cuda-runtime \
        cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)
WITHOUT_TORCH := $(foreach name,torch torchvision $(CUDA),--no-emit-package $(name))
# Markers that say no more than tool.uv.environments does, shortened.
SHORTER := s/ ; python_full_version < '3.14' and \(implementation_name != '[Pp]y[Pp]y' and \)\?((platform_machine == [^;]*darwin[^;]*) / /; \
           s/ ; python_full_version < '3.14' and ((platform_machine == 'aarch64' [^;]*linux') or (platform_machine == 'x86_64' [^;]*linux')) / ; sys_platform == 'linux' /

lock: $(DEV) ## resolve pyproject.toml again into requirements/*.lock [LOCK_FLAGS="--upgrade-package rich", or --upgrade]
	@mkdir -p requirements var/tmp
	sed -n 's/^\([a-z0-9-]*==[^\\]*\).*/\1/p' requirements/*.lock | sort -u > var/tmp/all.txt
	$(LOCK) $(LOCK_FLAGS) --extra dev --group stand-ins -o var/tmp/all.txt
	for extra in torch experiments; do $(LOCK) --extra $$extra -c var/tmp/all.txt -o requirements/$$extra.lock || exit; done
	for extra in huggingface timm; do $(LOCK) --extra $$extra -c var/tmp/all.txt $(WITHOUT_TORCH) -o requirements/$$extra.lock || exit; done
	$(LOCK) --extra serve -c var/tmp/all.txt $(WITHOUT_TORCH) -o requirements/serve.lock
	$(LOCK) --extra bundle --group stand-ins -c var/tmp/all.txt $(WITHOUT_TORCH) -o requirements/bundle.lock
	$(LOCK) --extra train --extra data --group stand-ins -c var/tmp/all.txt $(WITHOUT_TORCH) -o requirements/train.lock
	$(LOCK) --extra dev --group stand-ins -c var/tmp/all.txt $(WITHOUT_TORCH) -o requirements/dev.lock
	sed -i "$(SHORTER)" requirements/*.lock
