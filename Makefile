# The book in two commands: make book, make test. Each target calls a real tool and may be run again.

SHELL := bash
.SHELLFLAGS := -eo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help book test results notebooks clean executed

PYTHON ?= $(firstword $(shell command -v python3.11) python3)
PROFILE ?= laptop
JOBS ?= 2

# One thread a job: two jobs share two cores, and a number does not depend on the core count.
export OMP_NUM_THREADS ?= 1
# Let the C library keep freed memory: a step of training wants the same again, and where memory
# pages are dear (virtual machines) asking for them anew costs a seventh of the time.
export MALLOC_MMAP_THRESHOLD_ ?= 33554432
export MALLOC_TRIM_THRESHOLD_ ?= 1073741824
export PATH := $(CURDIR)/.venv/bin:$(PATH)

INSTALLED := .venv/.installed
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
EXECUTED := $(NOTEBOOKS:%=_build/executed/%)
CODE := $(shell find posebook -name '*.py' -o -path '*/assets/*' -type f)
NUMBERS := $(shell find book/results book/thesis -type f 2>/dev/null)
PAGES := $(shell find book -type f) _config.yml _toc.yml
JUPYTER_BOOK := jupyter-book build -q -W -n --keep-going --all
STRIP := nbstripout --keep-output --keep-count --keep-id --extra-keys "metadata.papermill \
  cell.metadata.papermill cell.metadata.execution metadata.language_info.version metadata.widgets"

help:  ## print the targets
	@echo "make TARGET"; grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 14

book: $(INSTALLED)  ## run every notebook on the smoke profile and build _build/html
	@$(MAKE) -s --no-print-directory -j$(JOBS) executed
	@$(MAKE) -s --no-print-directory _build/html/.checked
	@echo "The book is ready: open $(CURDIR)/_build/html/index.html"

test: $(INSTALLED)  ## run all checks: style, unit tests, notebooks, the built book
	@echo "== style"
	ruff check
	@echo "== unit tests"
	pytest -q -n $(JOBS) tests --ignore tests/test_book.py
	@echo "== notebooks: every cell still runs, tagged cells still print the same"
	pytest -q -n $(JOBS) --dist loadscope --nbval-lax notebooks --nbval-current-env \
	  --nbval-cell-timeout 120 --nbval-sanitize-with tests/nbval_sanitize.cfg
	python tools/weather.py --training --settings compatible --threads 1 --seeds 1 > /dev/null
	@echo "== the book, as published"
	rm -rf _build/test
	$(JUPYTER_BOOK) . --path-output _build/test
	pytest -q tests/test_book.py --book _build/test/_build/html
	@echo "All checks passed."

results: $(INSTALLED)  ## recompute the published numbers: make results PROFILE=laptop (or gpu)
	python tools/run_results.py --profile $(PROFILE) --jobs $(JOBS)

notebooks: $(INSTALLED)  ## run the paired notebooks in place, text half first; keep the outputs
	touch notebooks/*.md
	ls notebooks/*.md | xargs -P $(JOBS) -n 1 jupytext --sync --execute -q
	$(STRIP) notebooks/*.ipynb

clean:  ## remove what was built; keeps .venv, runs and published results
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null || { echo "Cannot start: there is no $(PYTHON); install Python \
	3.11, or point to it, for example  make book PYTHON=/opt/python3.11/bin/python3"; exit 1; }
	@$(PYTHON) tools/preflight.py
	@echo "== installing into .venv (about five minutes the first time)"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt \
	  -e '.[book,test,results]' || { echo "Cannot install: see pip's last lines above. Most often the \
	network is out of reach (behind a proxy, set HTTPS_PROXY). Run the same command again to go on."; exit 1; }
	@touch $@

executed: $(EXECUTED)

_build/executed/notebooks/%.ipynb: notebooks/%.ipynb $(CODE) $(NUMBERS)
	@mkdir -p _build/running $(@D); echo "== running $<"
	@papermill --no-progress-bar --log-level WARNING --cwd notebooks $< _build/running/$*.ipynb
	@$(STRIP) _build/running/$*.ipynb  # also of widgets' states, whose scripts come from the network
	@mv _build/running/$*.ipynb $@

_build/html/.checked: $(EXECUTED) $(PAGES)
	@echo "== building the pages"
	rm -rf _build/executed/book && cp -r book _config.yml _toc.yml _build/executed/
	$(JUPYTER_BOOK) _build/executed --path-output .
	pytest -q tests/test_book.py --book _build/html
	@touch $@
