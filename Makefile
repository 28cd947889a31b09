# Everything a person or a machine needs, from nothing but Python (3.10 or newer) and make.
PYTHON ?= python3
# torch's newest build may bring gigabytes of CUDA: `make test TORCH=torch` takes it all the same.
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test lint types check hostile zoo crater bench bench-quick pictures goldens schema docs clean

demo: .venv/.package
	$(BIN)/paramscope inspect fixtures/vit.py:build -O fixtures/vit.py:adam

test: lint types check

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test
	$(BIN)/mypy

check: .venv/.test
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 -q --cov --cov-report= --cov-fail-under=92

# Hostile models once more, each within five seconds of one core.
hostile: .venv/.test
	HF_HUB_OFFLINE=1 PARAMSCOPE_SECONDS=5 $(BIN)/python -m pytest -q tests/test_hostile_*.py

# Every architecture that transformers can build, about 8 minutes; the tests hold a sample of 40.
zoo: .venv/.test
	HF_HUB_OFFLINE=1 PYTHONPATH=tests $(BIN)/python -m zoo --write docs/zoo.md

# Some sixty packages that nobody here wrote, in a venv of their own (about 9 GB) with the newest torch; an hour.
crater: .crater/.packages
	HF_HUB_OFFLINE=1 PYTHONPATH=.:tests .crater/bin/python -m crater --write docs/crater.md

bench: .venv/.bench
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks

bench-quick: .venv/.bench
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks --quick

# With the system's Graphviz, or with the wheel that the tests install.
pictures: .venv/.test
	HF_HUB_OFFLINE=1 $(BIN)/python docs/pictures.py

# The rules' pages and the README's table, from the docstrings of the rules.
docs: .venv/.package
	$(BIN)/python -m paramscope.rules.docs

schema: .venv/.package
	$(BIN)/python -m paramscope.wire.schema

clean:
	rm -rf .venv .crater .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch goes first, so that what depends on it does not choose another build.
.venv/.torch:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	touch $@

.venv/.package: .venv/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.test: .venv/.package
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

.venv/.bench: .venv/.test
	$(BIN)/python -m pip install --quiet --editable ".[test,bench]"
	touch $@

# Every version is pinned, what the packages need too: pip chooses nothing, and packages that disagree stand side by side.
.crater/.packages: tests/crater/torch.txt tests/crater/requirements.txt
	$(PYTHON) -m venv .crater
	.crater/bin/python -m pip install --quiet --requirement tests/crater/torch.txt
	.crater/bin/python -m pip install --quiet --no-deps --requirement tests/crater/requirements.txt
	touch $@
