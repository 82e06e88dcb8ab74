# make check   the answer for the kernel that runs here, beside kernels before and after the patch
# make test    what guards the project within minutes: style, types, imports, and all tests but the slow ones
# make test-slow   the rest: what compiles for minutes, boots kernels, or runs SPIN and Rumur
# make test-browser   the pages in Debian's chromium (by apt, as root)
# make docs    the book, into docs/_build/html, and the manual page
# make fast    the tests of `make test` alone
# make nightly   what takes an hour: more of what is slow, and mistakes that random steps find late
# make check-coverage   decisions, rules and their values that no small scope of `pinhold explore` comes by: are they still
#              those of tests/golden/explore-coverage.txt?  (COVERAGE="fork-pin --rules 6.2": what these come by)
# make lint    style, types and imports alone
# make bench   pinhold beside SPIN and Rumur (by apt, as root), GUP-fast beside this kernel's, steps a second on this
#              kernel: some 20 minutes (BENCH="--brief --runs 1": less)
# make conform random scenarios on the kernel that runs here, with the seed of the day, which it prints
#              (CONFORM="--on vm:6.12 --time 10m": elsewhere, or longer)
# make lab     what the vm: targets need: QEMU (by apt, as root) and the stock kernels 6.1 and 6.12 (as anybody)
#
# Each sets up what it needs in .venv.  `check` needs python3 and nothing else, and no network.

PYTHON ?= python3
VENV := .venv
KERNELS ?= 6.1 6.12
CONFORM ?= --on live --steps 5000
PY := $(VENV)/bin/python
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
BROWSER_READY := $(VENV)/.browser-ready
DOCS_READY := $(VENV)/.docs-ready

# One at a time: a second make waits until the shell that goes on from here has ended, and says for whom.
ALONE = exec 9>>.lock; flock -n 9 || { echo "waiting for process $$(cat .lock), another make in this directory ..."; \
    flock 9; }; echo $$$$ > .lock;

# Isolated Python takes nothing from the current directory, from PYTHONPATH or from the user's own packages.  Links to
# the command are followed, and nothing names the place of this tree: it may be moved.
export define LAUNCHER
#!/bin/sh
pinhold=$$(command -p readlink -f -- "$$0") && exec "$${pinhold%/*}/python" -I -m pinhold "$$@"
endef

.PHONY: check check-coverage test fast test-slow test-browser docs nightly lint bench conform lab clean
.DELETE_ON_ERROR:

check: $(RUN_READY)
	@$(VENV)/bin/pinhold check

test: lint fast

fast: $(DEV_READY)
	@echo "tests of the specification and the tool:"
	@$(PY) -m pytest -q -n 2 --dist loadgroup -m "not slow and not nightly" --ignore tests/live $(PYTEST)
	@echo "tests of the kernel that runs here:"
	@$(PY) -m pytest -q -rs -m "not slow and not nightly" tests/live

# What compiles comes first (tests/conftest.py).  No time limit: on a busy machine it takes as long as it takes.  The book has
# its own, with `make docs`.
test-slow: $(DEV_READY)
	@echo "slow tests, some fifteen minutes on an idle machine:"
	@$(PY) -m pytest -q -rs -n 2 --dist loadgroup -m "slow and not nightly" --timeout 0 --ignore tests/browser --ignore tests/book $(PYTEST)

check-coverage: $(DEV_READY)
	@$(if $(COVERAGE),$(VENV)/bin/pinhold explore --coverage $(COVERAGE),$(PY) -m pytest -q -m "" tests/golden/test_explore_coverage.py)

nightly: $(DEV_READY)
	@$(PY) -m pytest -q -rs -n 2 --dist loadgroup -m nightly --timeout 0 $(PYTEST)

test-browser: $(BROWSER_READY)
	@$(PY) -m pytest -q -rs -m slow tests/browser $(PYTEST)

# Nothing is fetched while it builds, and a warning is an error.
docs: $(DOCS_READY)
	@$(PY) -m sphinx -q -W --keep-going -E -b html -d docs/_build/trees docs docs/_build/html
	@$(PY) -m sphinx -q -W --keep-going -b man -d docs/_build/trees docs docs/_build/man
	@$(PY) -m pytest -q -rs -m "" tests/book $(PYTEST)
	@echo "docs/_build/html/index.html"

lint: $(DEV_READY)
	$(PY) -m ruff check src tests benchmarks docs
	$(PY) -m ruff format --check src tests benchmarks docs
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo

bench: $(DEV_READY)
	@{ command -v spin && command -v rumur && command -v gcc; } >/dev/null || \
	    { [ "$$(id -u)" -eq 0 ] || { echo "SPIN or Rumur is missing; as root: apt-get install spin rumur gcc"; exit 4; } >&2; \
	      apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends spin rumur gcc libc6-dev; } >/dev/null
	@$(PY) benchmarks/peers.py $(BENCH)
	@$(PY) benchmarks/gup_fast.py
	@$(PY) benchmarks/steps.py --jobs 2

conform: $(RUN_READY)
	@seed=$${SEED:-$$(date +%Y%m%d)}; echo "pinhold conform $(CONFORM) --seed $$seed"; \
	    $(VENV)/bin/pinhold conform $(CONFORM) --seed $$seed

lab: $(RUN_READY)
	@$(ALONE) command -v qemu-system-x86_64 >/dev/null || \
	    { [ "$$(id -u)" -eq 0 ] || { echo "QEMU is missing; as root: apt-get install qemu-system-x86"; exit 4; } >&2; \
	      apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 \
	      install -y --no-install-recommends qemu-system-x86; } >/dev/null; \
	$(VENV)/bin/pinhold kernels fetch $(KERNELS)

clean:
	rm -rf $(VENV) .lock .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis docs/_build

# A virtual environment without pip, which every python3 of Debian can make, and the command in it.
$(RUN_READY): Makefile
	@$(PYTHON) -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "pinhold needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.11 check"; exit 3; }
	@$(ALONE) if [ ! $@ -nt Makefile ]; then set -e; \
	    $(PYTHON) -I -m venv --clear --without-pip $(VENV); \
	    packages="$$($(PY) -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
	    $(PY) -I -c 'import os, sys; print(os.path.relpath("src", sys.argv[1]))' "$$packages" > "$$packages/pinhold.pth"; \
	    printf '%s\n' "$$LAUNCHER" > $(VENV)/bin/pinhold; \
	    chmod +x $(VENV)/bin/pinhold; \
	    touch $@; \
	fi

# A browser's driver; the browser itself is Debian's.
$(BROWSER_READY): $(DEV_READY)
	@command -v chromium >/dev/null || \
	    { [ "$$(id -u)" -eq 0 ] || { echo "chromium is missing; as root: apt-get install chromium"; exit 4; } >&2; \
	      apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 \
	      install -y --no-install-recommends chromium fonts-dejavu-core; } >/dev/null
	@$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	    print(*extras["browser"], sep="\n")' > $(VENV)/browser.txt
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt -r $(VENV)/browser.txt
	@touch $@

$(DOCS_READY): $(DEV_READY)
	@$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	    print(*extras["docs"], sep="\n")' > $(VENV)/docs.txt
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt -r $(VENV)/docs.txt
	@touch $@

# The tools for development, at the versions of constraints.txt.  Debian keeps ensurepip in python3-venv; a pip outside
# the environment does as well.
$(DEV_READY): $(RUN_READY) pyproject.toml constraints.txt
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip --default-pip >/dev/null 2>&1 || \
	    $(PYTHON) -m pip --python $(PY) install -q pip >/dev/null 2>&1 || \
	    { echo "make lint and make test need pip in $(VENV). Install it once: apt-get install python3-venv"; exit 3; }
	@echo "installing the development tools into $(VENV) ..."
	@$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	    print(*extras["explore"], *extras["audit"], *extras["cluster"], *extras["inspect"], *extras["dev"], sep="\n")' > $(VENV)/dev.txt
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt -r $(VENV)/dev.txt
	@touch $@
