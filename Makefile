# Everything a person or a machine needs, from nothing but Python (3.10 or newer) and make.
PYTHON ?= python3
# torch's newest build may bring gigabytes of CUDA: `make test TORCH=torch` takes it all the same.
TORCH ?= torch==2.13.0
# Processes that share the tests: each has a stretch of them, whose models and children are then its own.
WORKERS ?= 2
SPREAD := -n $(WORKERS) --dist worksteal
BIN := .venv/bin
# What is installed is compiled when it is first imported: no more than is used, and kept whatever the caller's shell says.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
export PYTHONDONTWRITEBYTECODE :=
export HF_HUB_OFFLINE := 1

.PHONY: demo test test-browser vendor lint types check cover hostile zoo zoo-runs crater bench bench-quick pictures
.PHONY: release-check lower-bounds notebook goldens schema docs site clean

demo: .venv/.package
	$(BIN)/paramscope inspect fixtures/vit.py:build -O fixtures/vit.py:adam

test: lint types check

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test
	$(BIN)/mypy

# Processes that share the cores do not fight for them.
check cover lower-bounds: export OMP_NUM_THREADS := 1

check: .venv/.test
	$(BIN)/python -m pytest $(SPREAD) -q

# What a reader does with the HTML report, in the system's Chromium (apt-get install chromium), or in the one that
# CHROMIUM names.
test-browser: export OMP_NUM_THREADS := 1
test-browser: .venv/.test
	$(BIN)/python -m pytest $(SPREAD) -q tests/browser

# The same tests, at 2.3 times their cost: which lines and branches they run, and that these do not become fewer.
cover: .venv/.test
	$(BIN)/python -m pytest $(SPREAD) -q --cov --cov-report=term:skip-covered --cov-fail-under=92

# Hostile models once more, each within five seconds of one core.
hostile: .venv/.test
	PARAMSCOPE_SECONDS=5 $(BIN)/python -m pytest -q tests/test_hostile_*.py

# Every architecture that transformers can build, about 8 minutes; the tests hold a sample of 40.
zoo: .venv/.test
	PYTHONPATH=tests $(BIN)/python -m zoo --write docs/zoo.md

# What graph runs of them, and whether backward reaches the same, half an hour.
zoo-runs: .venv/.test
	PYTHONPATH=tests $(BIN)/python -m zoo.runs --write docs/zoo-runs.md

# Some sixty packages that nobody here wrote, in a venv of their own (about 9 GB) with the newest torch; an hour.
crater: .crater/.packages
	HF_HUB_OFFLINE=1 PYTHONPATH=.:tests .crater/bin/python -m crater --write docs/crater.md

# The wheel and the sdist, and the wheel in a venv that has nothing but torch; and what pyright says of the public names.
release-check: .venv/.release
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*
	TORCH="$(TORCH)" $(BIN)/python -m pytest -q tests/release

# The tests on the oldest of everything that pyproject.toml admits; torch 2.4 is for Python 3.12 at most, and its build for
# CUDA (5 GB) is the one that there is. Models of transformers are looked at as its newest version builds them.
lower-bounds: .lower/.packages
	.lower/bin/python -m pytest $(SPREAD) -q $(patsubst %,--ignore tests/test_%.py,$(OF_TRANSFORMERS))
OF_TRANSFORMERS := diff first_screen idioms_peft idioms_transformers integrations notebook pictures planted planted_runs
OF_TRANSFORMERS += plan run_graph transformers watch_trainers zoo

bench: .venv/.bench
	$(BIN)/python -m benchmarks

bench-quick: .venv/.bench
	$(BIN)/python -m benchmarks --quick

# What the README, the pages and tests/goldens say that the program prints, written anew; read the diff before you
# commit it.
goldens: .venv/.test
	PARAMSCOPE_UPDATE_GOLDENS=1 $(BIN)/python -m pytest -q tests/test_readme.py tests/test_site.py tests/test_plugin.py

# With the system's Graphviz, or with the wheel that the tests install.
pictures: .venv/.test
	$(BIN)/python docs/pictures.py

# docs/example.ipynb with what its cells show today.
notebook: .venv/.notebook
	$(BIN)/python docs/notebook.py

# The rules' pages and docs/facts.md, from docstrings.
docs: .venv/.package
	$(BIN)/python -m paramscope.rules.docs
	$(BIN)/python docs/facts.py

# The site, into build/site: a link or an anchor that leads nowhere fails it.
site: .venv/.site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The libraries of the HTML report as npm has them, of the versions that vendored.json names: npm is all it takes.
vendor:
	$(PYTHON) docs/vendor.py

schema: .venv/.package
	$(BIN)/python -m paramscope.wire.schema

clean:
	rm -rf .venv .crater .lower dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*

# An old pip takes four times as long. torch goes before what depends on it, lest that choose another build. What builds
# the package comes with it: once, not into an environment of its own each time that the package is installed.
.venv/.torch:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	$(PIP) "$(TORCH)" "hatchling>=1.26" editables
	touch $@

.venv/.package: .venv/.torch pyproject.toml
	$(PIP) --no-build-isolation --editable .
	touch $@

.venv/.test: .venv/.package
	$(PIP) --no-build-isolation --editable ".[test]"
	touch $@

.venv/.release: .venv/.test
	$(PIP) --no-build-isolation --editable ".[test,release]"
	touch $@

.venv/.notebook: .venv/.test
	$(PIP) --no-build-isolation --editable ".[test,notebook]"
	touch $@

.venv/.site: .venv/.package
	$(PIP) --no-build-isolation --editable ".[docs]"
	touch $@

.venv/.bench: .venv/.test
	$(PIP) --no-build-isolation --editable ".[test,bench]"
	touch $@

# Compiled at once: networkx 3.2 warns when it is, and tests take warnings for errors.
.lower/.packages: pyproject.toml
	$(PYTHON) -m venv .lower
	.lower/bin/python -m pip install --quiet uv
	.lower/bin/uv pip install --quiet --python .lower/bin/python --compile-bytecode --resolution lowest-direct --editable ".[test]"
	touch $@

# Every version is pinned, what the packages need too: pip chooses nothing, and packages that disagree stand side by side.
.crater/.packages: tests/crater/torch.txt tests/crater/requirements.txt
	$(PYTHON) -m venv .crater
	.crater/bin/python -m pip install --quiet --requirement tests/crater/torch.txt
	.crater/bin/python -m pip install --quiet --no-deps --requirement tests/crater/requirements.txt
	touch $@
