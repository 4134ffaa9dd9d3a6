# `make help` lists what there is. Everything that is built goes to .venv and build/.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
# More options for pytest: make test-integration ARGS="-k ports -x"
ARGS ?=
# So that the tests package is found.
export PYTHONPATH := $(CURDIR)
# Without what Python keeps of compiled files, each process of pytest compiles all tests anew: 11 s of the unit suite's 17 before its first test.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-demo setup-engines setup-bench setup-controls demo check format test test-full test-unit test-arch test-roots \
	test-integration test-e2e test-fleet test-chaos test-proxied test-haproxy test-packages test-ubuntu ahead-packages setup-packages setup-trials setup-hosts deb rpm sbom repo signing-key \
	hosts chaos bench failover-bench hosts-bench services-bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/installed ## Make .venv with the hullmark command in it (installs python3-venv if missing)

.venv/installed: pyproject.toml tools/setup.sh
	@tools/setup.sh venv
	@touch $@

setup-demo: setup ## Install what the demo needs: Docker, iptables, HAProxy, busybox
	@tools/setup.sh demo

setup-engines: setup ## Install what the tests need: Docker, Podman, HAProxy, a registry, mmdebstrap
	@tools/setup.sh engines

setup-bench: setup ## Install what the bench needs besides: two programs that make load
	@tools/setup.sh bench

setup-controls: setup ## Install the security tools that the tests try the host's controls on
	@tools/setup.sh controls

demo: setup-demo ## See a Compose app run under Hullmark on this machine, in under 3 minutes
	@$(PYTHON) -m tests.demo

# Tests are collected once, for all processes that run them. Some wait: three more of these than processors. What they write needs no disk. The
# examples of random tests are a part of those that `make test` tries.
check: export HYPOTHESIS_PROFILE ?= quick
check: export TMPDIR := $(or $(TMPDIR),$(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 1000000 ] 2>/dev/null && echo /dev/shm),/tmp)
check: setup ## Format, lint, types, unit and architecture tests: under a minute
	$(PYTHON) -m ruff format --check --quiet .
	$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m mypy & types=$$!; \
	$(PYTEST) -q -p tests.forked --forks $$(($$(nproc) + 3)) -p tests.longest -o tmp_path_retention_policy=failed \
		tests/unit tests/arch tests/chaos/test_checker.py $(ARGS); \
	tests=$$?; wait $$types && exit $$tests

format: setup ## Format the code and mend what the linter can
	$(PYTHON) -m ruff check --quiet --fix .
	$(PYTHON) -m ruff format .

test: setup-engines setup-controls ## Every suite, with a table of results and times at the end
	@$(PYTHON) tools/suites.py check roots integration e2e fleet chaos proxied packages

test-full: setup-engines ## Every suite with every combination of hosts, engines and steps: hours
	@$(PYTHON) tools/suites.py --full check roots integration e2e fleet chaos proxied packages ubuntu

test-unit: setup ## The unit suite in .venv
	$(PYTEST) -q tests/unit $(ARGS)

test-arch: setup ## The rules of the house: imports, names, sizes
	$(PYTEST) -q tests/arch $(ARGS)

test-roots: setup-engines ## The unit suite in Debian 11 and 13, with their own Python packages
	$(PYTHON) tests/roots/run.py $(ARGS)

test-integration: setup-engines setup-controls ## Against a real Docker, Podman and registry of its own
	$(PYTEST) -v --timeout 300 --durations 10 --numprocesses 3 --dist loadfile tests/integration $(ARGS)

test-e2e: setup-engines ## Master, agent and engine together, as a user runs them
	$(PYTEST) -v --timeout 900 --durations 10 --numprocesses 4 --dist loadfile --no-loadscope-reorder \
		-p tests.longest --ignore-glob '*/test_fleet_*' --ignore-glob '*/test_proxied_*' tests/e2e $(ARGS)

test-fleet: setup-engines ## A master and three hosts: lost, drained and healed hosts, rolling changes
	$(PYTEST) -v -rP --timeout 300 --durations 10 --numprocesses 4 --dist loadfile --no-loadscope-reorder -p tests.longest \
		tests/e2e/test_fleet_*.py $(ARGS)

test-chaos: setup-engines ## A few rounds of faults at a pair of masters, and the tests of what checks them
	$(PYTEST) -v -rP --timeout 300 --durations 5 tests/chaos $(ARGS)

test-proxied: setup-engines ## Three hosts with a proxy each: names, requests under load, strangers, published ports
	$(PYTEST) -v -rP --timeout 300 --durations 10 tests/e2e/test_proxied_*.py $(ARGS)

test-packages: setup-packages setup-trials setup-hosts ## The packages, installed on stock hosts that the tests boot
	$(PYTEST) -v --timeout 600 --durations 10 --numprocesses 3 --dist loadfile --no-loadscope-reorder \
		-p tests.longest tests/packaging $(ARGS)

# Not in `make test`: its roots come from Ubuntu's own mirror, which has to be reached once (HULLMARK_UBUNTU_MIRROR names another).
test-ubuntu: setup-packages setup-hosts ## On Ubuntu 22.04, 24.04 and 26.04: the unit suite, the packages on booted hosts, the proxy
	$(PYTHON) tests/roots/run.py --ubuntu $(ARGS)
	$(PYTEST) -v --ubuntu --timeout 900 --durations 10 --numprocesses 2 --dist load tests/packaging $(ARGS)
	@$(if $(ARGS),:,$(MAKE) --no-print-directory test-haproxy RELEASES="jammy noble resolute")

# For the same reason; Debian 13's is there too. RELEASES=jammy: one of them.
RELEASES ?= jammy noble resolute trixie
test-haproxy: setup-engines ## The proxy with the HAProxy of other releases: Ubuntu 22.04 (2.4), 24.04, 26.04, Debian 13
	@for release in $(RELEASES); do \
		program=$$($(PYTHON) -m tests.roots.haproxies $$release) && $$program -v | head -n 1 && HULLMARK_TEST_HAPROXY=$$program \
		$(PYTEST) -v --timeout 300 tests/integration/test_proxy*.py $(ARGS) || exit 1; \
	done

# Each is made by the suite too where it isn't there; locks keep two from making the same.
ahead-packages: setup-packages setup-trials setup-hosts
	@$(PYTHON) -m tests.packaging.products
	@$(PYTHON) -m tests.hosts roots bookworm-audited bookworm bookworm-quorum bookworm-sysvinit trixie
	@$(PYTHON) -m tests.packaging.rhel

setup-packages: setup ## Install what building the packages needs
	@tools/setup.sh packages

setup-trials: setup ## Install what trying the packages needs besides: linters, dnf, Ansible
	@tools/setup.sh trials

setup-hosts: setup-engines ## Install what booting test hosts needs
	@tools/setup.sh hosts

deb: setup-packages ## Build the .deb packages: build/deb
	@packaging/deb/build.sh

rpm: setup-packages ## Build the .rpm packages: build/rpm
	@packaging/rpm/build.sh

sbom: deb rpm ## List what is in the packages and what they depend on (CycloneDX): build/sbom.cdx.json
	@$(PYTHON) packaging/sbom.py

repo: signing-key deb rpm ## Make a signed apt and a signed yum repository: make repo KEY=secret-key.asc [OUT=build/repo]
	@packaging/repo.sh --key "$(KEY)" --out "$(or $(OUT),build/repo)" build/deb/*.deb build/rpm/*.rpm

# Before anything is built: a key that isn't there would show minutes later.
signing-key:
	@[ -n "$(KEY)" ] || { echo 'make repo: which key signs? Name the file with the secret key: make repo KEY=FILE.' \
		'README.md, "Install by apt or yum", says how to make one.' >&2; exit 64; }
	@[ -f "$(KEY)" ] || { echo 'make repo: KEY=$(KEY): there is no such file. It has to be the secret key, as' \
		'gpg --armor --export-secret-keys writes it.' >&2; exit 64; }

# make chaos SEED=17 ROUNDS=1 replays a seed; without SEED it goes on after the last of the ledger.
chaos: setup-engines ## Seeded rounds of faults at a pair under load: make chaos ROUNDS=20; build/chaos.json
	@$(PYTHON) -m tests.chaos --rounds $(or $(ROUNDS),10) $(if $(SEED),--seed $(SEED)) $(ARGS)

hosts: setup-hosts ## A shell on a booted stock host: make hosts ARGS="trixie --engine podman"
	@$(PYTHON) -m tests.hosts shell $(or $(ARGS),bookworm)

bench: setup-bench ## Times, memory and CPU beside Docker Swarm: build/bench.json and a table
	@$(PYTHON) -m tests.bench $(ARGS)

failover-bench: setup-engines ## How long until the next accepted write once a leader is lost, beside Docker Swarm
	@$(PYTHON) -m tests.bench.failover $(ARGS)

services-bench: setup-bench ## The part of it about the ways to a service, beside a hand-written HAProxy and Swarm's overlay
	@$(PYTHON) -m tests.bench.services $(ARGS)

hosts-bench: setup-engines ## The part of it about many hosts: scheduler, simulated fleet, a lost host
	@$(PYTHON) -m tests.bench.hosts $(ARGS)

clean: ## Remove what was built: build/, .venv, caches
	rm -rf build .venv agent/*.egg-info
	find agent tests tools -name __pycache__ -type d -exec rm -rf {} +
