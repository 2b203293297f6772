# Two commands for a new machine: `make demo` and `make test`. Both make .venv from nothing and reuse it.
# The first Python that runs and is new enough; name another with `make PYTHON=/path/to/python3.11`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
# One more than the cores of a small machine: many tests wait for a clock, a line or a process.
WORKERS ?= 3
STAMP := $(VENV)/.installed

.PHONY: demo test full faults lint bench clean

$(STAMP): pyproject.toml requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "opsconsole needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e . -r requirements-dev.txt
	@touch $(STAMP)

demo: $(STAMP)
	@$(VENV)/bin/opsconsole demo

test: $(STAMP)
	$(VENV)/bin/python -m pytest -n $(WORKERS) -m "not slow"

full: $(STAMP)
	$(VENV)/bin/python -m pytest -n $(WORKERS)

# Every case of the fault suites (.ci/run has a bounded part), and how many faults really fired in each.
faults: $(STAMP)
	@log=$$(mktemp); OPSCONSOLE_FAULTS=full OPSCONSOLE_FAULTS_LOG=$$log \
		$(VENV)/bin/python -m pytest -n $(WORKERS) tests/faults; rc=$$?; sort $$log; rm -f $$log; exit $$rc

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(STAMP)
	$(VENV)/bin/python -m bench

clean:
	rm -rf $(VENV)
