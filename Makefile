# Everything runs in .venv, which the first target makes from constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help demo test torture validate check check-without-test format lint types floors docs notebooks audit lock bench clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

demo: .venv/.installed  ## Scan the embedded corpus with the offline model; print where the pages are
	$(BIN)/llm-mri demo --out llm-mri-demo

test: .venv/.installed  ## Run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

torture: .venv/.installed  ## The promises of a store in full form; takes its time, figures in torture.json
	$(BIN)/python -m pytest tests/torture --torture -p no:xdist

check: test check-without-test  ## Everything a change must pass

check-without-test: format lint types floors notebooks docs audit

format: .venv/.installed  ## Is the code formatted?
	$(BIN)/ruff format --check .

lint: .venv/.installed  ## Does the code keep to the rules?
	$(BIN)/ruff check .

types: .venv/.installed  ## Do the types hold?
	$(BIN)/mypy

floors: .venv/.installed  ## Do imports go one way?
	$(BIN)/lint-imports --no-cache

notebooks: .venv/.installed  ## Run every notebook from a clean kernel and compare with what is committed
	$(BIN)/python notebooks/run.py --check

docs: .venv/.installed  ## Are the README's help and the generated pages up to date?
	$(BIN)/python docs/build.py --check
	$(BIN)/python docs/gallery.py --check

audit: .venv/.installed  ## Has a pinned version a known vulnerability? (Where that can be asked)
	$(BIN)/python .ci/audit.py

lock: .venv/.installed  ## Hash the pinned versions again, after a change of constraints.txt
	$(BIN)/python .ci/lock.py

bench: .venv/.installed  ## Measure; figures are printed beside their references
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/counting.py
	$(BIN)/python benchmarks/extraction.py
	$(BIN)/python benchmarks/report.py

validate: demo  ## How often the tests err and how often they find: the figures of docs/validation.md; an hour
	$(BIN)/python benchmarks/validation.py calibration
	$(BIN)/python benchmarks/validation.py power
	$(BIN)/python benchmarks/validation.py confounding --samples 800

clean:  ## Remove what the targets made
	rm -rf .venv llm-mri-demo build dist
