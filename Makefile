# Everything that a person or a machine does with this repository. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check -qq
PINS := -c constraints.txt
LOCK ?= yes
TORCH_FROM ?= --extra-index-url https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match
TIMES ?= 1
AZURITE := 3.35.0
export PYTHONDONTWRITEBYTECODE := # empty: hundreds of tests start Python, which then reads compiled files

.DEFAULT_GOAL := help
.PHONY: help run test test-vllm coverage faults mutate check sbom lock clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

run: $(VENV)/.run ## install, then write the sample rows with a small model, into out/
	@$(BIN)/nightpress run scripts/samples/night.jsonl --out out || [ $$? = 1 ] # 1: it ran, and the toy wrote texts that are not fit

test: $(VENV)/.test ## install what tests need, and run them; of the fault suite, its smoke
	@$(BIN)/python -m pytest -n 4 -m "not faults or smoke"

test-vllm: $(VENV)/.run ## make the environment of vLLM, and run in it what tests the engine vllm
	@$(BIN)/nightpress models env vllm
	@$(BIN)/python scripts/checks/engines/vllm_suite.py

coverage: $(VENV)/.test ## the same tests, with a table of the lines and branches that none of them reaches
	@$(BIN)/coverage erase
	@$(BIN)/python -m pytest -n 3 -m "not faults or smoke" --cov --cov-report=term

SLOW := tests/acceptance/test_two_nodes.py tests/acceptance/test_outages.py tests/acceptance/test_separate_processes.py \
	tests/acceptance/test_worker_death.py tests/acceptance/test_draining.py tests/acceptance/test_growing_clusters.py tests/acceptance/test_cluster_page.py tests/acceptance/test_ray_clusters.py tests/acceptance/test_logs.py tests/acceptance/test_run.py \
	tests/workers/worker/nights/test_memory_nights.py tests/jobs/gateway/page/test_in_chromium.py \
	tests/scripts/bench/test_scale.py tests/scripts/bench/test_lanes.py tests/scripts/bench/fleet/test_busy.py tests/scripts/bench/queue_peers/test_faults.py

faults: $(VENV)/.test ## break everything in turn, and see that no row is lost or doubled; TIMES=10 does it ten times
	@for time in $$(seq $(TIMES)); do FAULTS_EXAMPLES=400 $(BIN)/python -m pytest -n 6 tests/faults $(SLOW) || exit 1; done

mutate: $(VENV)/.test ## take away each guard of the protocol in turn, and see that some test notices
	@$(BIN)/python scripts/checks/mutate.py

check: $(VENV)/.check ## lint, format, types, import contracts, dependencies and their licences, deployment files, the tables of docs/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy jobs workers scripts tests
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/python scripts/checks/licences.py
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/python -m scripts.checks.deployment.check
	$(BIN)/python scripts/checks/monitoring/check.py
	$(BIN)/python scripts/checks/reference.py --check

sbom: $(VENV)/.test ## write the parts list of the product (CycloneDX) into out/sbom.cdx.json
	@$(PIP) install $(PINS) --group sbom
	@$(BIN)/python scripts/sbom.py

lock: $(VENV)/.made ## write requirements.lock anew, after a change of constraints.txt
	@$(PIP) install uv
	@$(BIN)/python scripts/lock.py $(TORCH_FROM)

clean: ## remove what was built and made here
	rm -rf $(VENV) out dist .nightpress .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .coverage.*

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is too old: Nightpress needs Python 3.11 or newer; try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml constraints.txt requirements.lock
	@echo "installing Nightpress with Ray, torch, transformers and a small model: a few minutes, once"
	@$(BIN)/python scripts/install.py $(if $(filter no,$(LOCK)),--no-lock)
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "installing what tests need"
	@$(PIP) install $(PINS) --group test -e '.[workers,gateway,local,s3,gcs,azure,parquet,translate,traces]'
	@echo "installing a server of Azure's storage, for tests of stores"
	@npm install --silent --no-audit --no-fund --prefix $(VENV)/azurite azurite@$(AZURITE) >/dev/null 2>&1 || \
		echo "npm could not install azurite: the tests of Azure's storage will be skipped"
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@echo "installing what checks need"
	@$(PIP) install $(PINS) --group check
	@touch $@
