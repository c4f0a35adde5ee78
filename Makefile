# The project's tasks. Each makes the environment it needs; nothing but a Python >= 3.12 has to be there before.

VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help env demo test check format bench exactness mutation soak lock clean

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(INSTALLED) ## Make the environment in .venv.

# Made anew when the lock changes, so that it never holds a package that the lock does not name.
$(LOCKED): requirements/dev.txt
	@python=$$(PYTHON='$(PYTHON)' .ci/find-python) && echo "Making $(VENV) with $$python" && "$$python" -m venv --clear $(VENV)
	@echo "Installing what requirements/dev.txt names; the first time this downloads about 150 MB"
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

demo: env ## Start a sandbox, write through an application, watch the graph follow, verify.
	@$(BIN)/gpm-cdc demo

# NO_SKIPS=1 makes a skipped test a failure; PYTEST_ARGS go to pytest. Several processes, each with servers of its own;
# one where environment variables name the servers. Compiled first, since tests start gpm-cdc by the hundred, and where
# PYTHONDONTWRITEBYTECODE is set each would compile it anew.
test: env ## Run all tests against real servers; skipped ones are listed with their reasons.
	@$(BIN)/python -m compileall -q gpm_cdc
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(if $(NO_SKIPS),-p tests.no_skips) $(PYTEST_ARGS)

check: env ## Format, lint, import contracts, types, documents, unit tests.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet tests/unit $(PYTEST_ARGS)

format: env ## Format the code and mend what the linter can mend.
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: env ## Measure the stream against the ceiling of the same machine.
	@$(BIN)/gpm-cdc bench stream

# GPM_TEST_EXACTNESS_HISTORIES, _SEED, _VERSIONS and _SECONDS say how many, which, where and how long; see CONTRIBUTING.md.
exactness: env ## Run random histories on every version of Postgres, and add them to docs/exactness.md.
	@$(BIN)/python -m tests.exactness $(SCRIPT)

# GPM_TEST_MUTATION_SEED and _COUNT say which and how many; see CONTRIBUTING.md.
mutation: env ## Make mistakes in the projection and the Cypher, and see which tests notice: docs/mutation.md.
	@$(BIN)/python -m tests.mutation

# GPM_TEST_SOAK_MINUTES, _REPAIRS and _SEED say how long, how many and which; MODE one kind only. See CONTRIBUTING.md.
soak: env ## Write, compare and repair for half an hour, also while the schema changes: docs/soak.md.
	@$(BIN)/python -m tests.soak $(MODE)

# Needs uv. The options keep every address and path of the machine out of the files.
LOCK := uv pip compile --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --quiet $(LOCK_ARGS)

lock: ## Renew the pinned versions in requirements/ (needs uv; LOCK_ARGS=--upgrade takes the newest).
	$(LOCK) pyproject.toml --extra dev --group build --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(LOCK) --group build --constraint requirements/dev.txt --output-file requirements/build.txt

clean: ## Remove what the other targets made; the sandbox's downloads stay.
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
