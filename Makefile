# One task runner. `make` alone lists what there is.
PY      := .venv/bin/python
PYTHON  ?= python3
SOURCES := operator hack tests
CHECKED := tests/unit tests/sim tests/conformance
TOOLS   := etcd kube-apiserver kube-controller-manager kube-scheduler kwok kubectl helm helm4 kind agnhost prometheus traefik metrics-server metrics-adapter kubeseal upstream-hpa upstream-vpa
PYTEST  := $(PY) -m pytest --dist loadscope --no-loadscope-reorder --maxprocesses 4
# One process more than cores: whoever has an end-to-end test waits for kubelets, most of the time.
WITH_CLUSTERS = --numprocesses $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))

# Python is started hundreds of times here: what it has compiled once is kept, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test check static programs grounds soak e2e bench up down generate lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/ready: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.x"; exit 1; }
	@echo "==> the development environment (.venv)"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } || { echo "Python's venv module is needed: on Debian, apt-get install python3-venv"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/ready ## a kind cluster, Fairlead, an app under traffic, a bad release, and the way back
	@hack/demo

test: .venv/ready ## as CI runs it: static checks, then every test but those of make faults, on real clusters too
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=none static grounds
	@$(PYTEST) $(WITH_CLUSTERS) --doctest-modules operator/fairlead tests --ignore=tests/integration/faults --ignore=tests/parity/test_differential.py

check: static ## what to run before each commit: static checks, unit tests and the simulation
	@FAIRLEAD_SIM=brief $(PYTEST) --numprocesses auto --hypothesis-profile=brief --doctest-modules operator/fairlead $(CHECKED)

# Before the tests and not among them: a compiler on both cores makes everything else late.
programs: .venv/ready
	@hack/tool $(TOOLS) > /dev/null

# What the end-to-end tests stand on; to wait for nodes leaves a core to the static checks.
grounds: programs
	@test -n "$$FAIRLEAD_E2E_CONTEXT" || { hack/cluster up && hack/image build > /dev/null; }

static: .venv/ready
	@test ! -e operator/__init__.py || { echo "operator/__init__.py would shadow the standard library's operator"; exit 1; }
	@$(PY) -m ruff format --check --quiet $(SOURCES) || { echo "run: $(PY) -m ruff format $(SOURCES)"; exit 1; }
	@$(PY) -m ruff check --quiet $(SOURCES)
	@$(PY) -m mypy
	@.venv/bin/lint-imports > /dev/null || .venv/bin/lint-imports
	@$(PY) hack/gen_crds.py --check
	@$(PY) hack/gen_docs.py --check
	@$(PY) hack/gen_chart.py --check

soak: .venv/ready ## the simulation by chance, for SECONDS=… (600): other stories, faults and weather each time
	@FAIRLEAD_SOAK=$(or $(SECONDS),600) $(PY) -m pytest --capture=no tests/sim/soak.py

e2e: programs ## the end-to-end tests on the kind cluster
	@$(PY) -m pytest tests/e2e

faults: programs ## long faults, and a comparison with Deployments over time: they need a machine that does nothing else
	@$(PY) -m pytest tests/integration/faults tests/parity/test_differential.py

bench: .venv/ready ## speed and cost beside upstream, in one run (an hour and a half), and docs/benchmarks.md from it
	@$(PY) hack/bench

up: .venv/ready ## the kind cluster
	@hack/cluster up

down: ## take the kind cluster and every lab down
	@hack/cluster down
	@hack/lab down --all

generate: .venv/ready ## write the generated files anew: CRDs, reference docs, the chart's copies
	@$(PY) hack/gen_crds.py
	@$(PY) hack/gen_docs.py
	@$(PY) hack/gen_chart.py

lock: .venv/ready ## pin what is installed
	@$(PY) hack/lock.py

clean: ## remove what was built in this folder (the caches under ~/.cache/fairlead stay)
	@rm -rf build dist .venv
