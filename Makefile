# Everything the project needs is made here: `make demo`, `make test`, `make check`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
MINI   := build/mini

.PHONY: demo test examples check format schema bench bench-gpu picture clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,probe]'
	@$(BIN)/python -m compileall -q auditor evaluator mini_contest reference_model rules
	@touch $@

# The mini contest is made once and then found; `make clean` forgets it.
demo: $(STAMP)
	@$(BIN)/python -m mini_contest build --out $(MINI)
	@$(BIN)/evaluate $(MINI)/artifact.ptz --json $(MINI)/scorecard.json --html $(MINI)/report.html

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

# Every example submission through the experiments: minutes of CPU; `make test` runs three of them.
examples: $(STAMP)
	REFEREE_EXAMPLES=all $(BIN)/python -m pytest tests/probe/test_probe_examples.py

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The published schemas are generated; a test fails when they are out of date.
schema: $(STAMP)
	$(BIN)/python -m evaluator.scorecard > docs/scorecard.schema.json
	$(BIN)/python -m auditor.report.document > docs/audit.schema.json

# REFEREE_DATA is the folder of real data (default: ../shared/data).
bench: $(STAMP)
	$(BIN)/python benchmarks/mixers.py --json benchmarks/results/mixers.json
	$(BIN)/python benchmarks/mixing_a_model.py --json benchmarks/results/mixing_a_model.json

# The first picture of the README.
picture: $(STAMP)
	$(BIN)/python benchmarks/no_model.py --json benchmarks/results/no_model.json --svg docs/no-model.svg

bench-gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu.py

clean:
	rm -rf build dist $(VENV)
