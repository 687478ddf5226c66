# The book in three commands: make pages (to read it), make book (to run it), make test (to check it).
# Each target calls a real tool and may be run again.

SHELL := bash
.SHELLFLAGS := -eo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help book pages pdf test weather published results weights notebooks clean executed moved
MAKEFLAGS += --no-print-directory

PYTHON ?= $(firstword $(shell command -v python3.11) python3)
PROFILE ?= laptop
JOBS ?= 2
COMMA := ,

# One thread a job, whatever the shell says: two jobs share two cores, and a number does not depend
# on the core count. All else that a kernel gets stands in tools/fixed_environment.py.
export OMP_NUM_THREADS := 1
# Let the C library keep freed memory: a step of training wants the same again, and where memory
# pages are dear (virtual machines) asking for them anew costs a seventh of the time.
export MALLOC_MMAP_THRESHOLD_ ?= 33554432
export MALLOC_TRIM_THRESHOLD_ ?= 1073741824
# Some shells forbid Python to keep what it compiles: then each of a hundred processes compiles all
# that it imports, three seconds a time.
export PYTHONDONTWRITEBYTECODE :=
export PATH := $(CURDIR)/.venv/bin:$(PATH)

INSTALLED := .venv/.installed
# Programs in .venv name the folder in which they were installed.
MOVED := $(shell [ -s .venv/.installed ] && [ "$$(cat .venv/.installed)" != "$(CURDIR)" ] && echo yes)
NOTEBOOKS := $(shell sed -n 's|^ *- file: \(notebooks/[^ ]*\).*|\1.ipynb|p' _toc.yml)
EXECUTED := $(NOTEBOOKS:notebooks/%=_build/executed/%)
# Each page that did not run through has a log.
LOGS := $(wildcard $(NOTEBOOKS:notebooks/%.ipynb=_build/logs/%.log))
RUNNING := tools/fixed_environment.py tools/run_page.py tools/run_notebook.py
CODE := $(shell find posebook -name '*.py' -o -path '*/assets/*' -type f -o -path '*/weights/*' -type f)
NUMBERS := $(shell find book/results book/machines book/thesis -type f 2>/dev/null)
PAGES := tools/pages.py $(NOTEBOOKS) $(shell find book -type f) _config.yml _toc.yml
FIXED := python tools/fixed_environment.py
RAN := --executed _build/executed --logs _build/logs
JUPYTER_BOOK := jupyter-book build -q -n --keep-going --all
# In what is published a warning is an error. What a page prints on this machine may cause one, and
# is no reason to be left without a book.
STRICT := $(JUPYTER_BOOK) -W
BUILD = echo "== building the pages"; rm -f _build/html/.executed _build/html/.published; \
  $(1) _build/source --path-output .
CARD := tests/experiments/test_card.py
# The page that make test lets fail.
FAILING := ch03_11_training
STRIP := nbstripout --keep-output --keep-count --keep-id --extra-keys "metadata.papermill \
  cell.metadata.papermill cell.metadata.execution metadata.language_info.version metadata.widgets"

help:  ## print the targets
	@echo "make TARGET"; grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 14

# One make at a time: a second one in this folder is refused while the first is at work.
ifneq ($(origin ALONE),command line)
.NOTPARALLEL:
book pages pdf test notebooks clean $(INSTALLED):
	@command -v $(PYTHON) > /dev/null || { echo "Cannot start: there is no $(PYTHON); install Python \
	3.11, or point to it, for example  make book PYTHON=/opt/python3.11/bin/python3"; exit 1; }
	@$(PYTHON) tools/alone.py $(MAKE) ALONE=yes $@
else

book: $(INSTALLED)  ## run every notebook on the smoke profile and build _build/html
	@python tools/pages.py check
	@$(MAKE) -s -j$(JOBS) executed
	@$(MAKE) -s _build/html/.executed
	@python tools/pages.py say "$(CURDIR)/_build/html" $(RAN)

pages: $(INSTALLED)  ## build _build/html as it is published, without running anything
	@python tools/pages.py check
	@$(MAKE) -s _build/html/.published
	@echo "The book is ready, as it was published: open $(CURDIR)/_build/html/index.html"

pdf: $(INSTALLED)  ## print the book as it is published to _build/book.pdf (needs a Chromium)
	@python tools/print_book.py check
	@$(MAKE) -s _build/html/.published
	@python tools/print_book.py _build/html _build/book.pdf

test: $(INSTALLED)  ## run all checks: style, unit tests, notebooks, the built book
	@echo "== style"
	ruff check
	@echo "== unit tests"
	pytest -q -rs -n $(JOBS) --dist worksteal tests --ignore tests/test_book.py --ignore tests/test_browser.py \
	  --ignore $(CARD)
	@echo "== every step on a pretend card"
	pytest -q -rs -n $(JOBS) $(CARD)
	@echo "== notebooks: every cell still runs, tagged cells still print the same"
	$(FIXED) pytest -q -n $(JOBS) --dist loadscope --nbval-lax notebooks --nbval-current-env \
	  --nbval-cell-timeout 120 --nbval-sanitize-with tests/nbval_sanitize.cfg
	@echo "== the pages that train, once more in another arithmetic; beside them the built book"
	@$(MAKE) -j$(JOBS) --output-sync=target weather published
	@echo "All checks passed."

# The two ends of make test, each of one process.
weather:
	python tools/weather.py --training --settings compatible --threads 1 --seeds 1 > /dev/null

published:
	@echo "== the book, as published; $(FAILING) fails on purpose, with a second for a cell"
	rm -rf _build/test
	python tools/run_page.py --cell-seconds 1 notebooks/$(FAILING).ipynb \
	  _build/test/executed/$(FAILING).ipynb _build/test/logs/$(FAILING).log || true
	python tools/pages.py collect _build/test/source --logs _build/test/logs
	$(STRICT) _build/test/source --path-output _build/test
	@echo "== its pages and links, and in a browser, where there is a Chromium"
	pytest -q -rs -n $(JOBS) --dist worksteal tests/test_book.py tests/test_browser.py \
	  --book _build/test/_build/html --failed $(FAILING)

notebooks: $(INSTALLED)  ## run the paired notebooks in place, text half first; keep the outputs
	@python tools/halves.py notebooks
	touch notebooks/*.md
	ls notebooks/*.md | $(FIXED) xargs -P $(JOBS) -n 1 jupytext --sync --execute -q
	$(STRIP) notebooks/*.ipynb

clean:  ## remove what was built; keeps .venv, runs and published results
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

$(INSTALLED):
	@$(PYTHON) tools/preflight.py
	@$(if $(MOVED),echo "This folder was elsewhere; its .venv names the old place and is made anew"; rm -rf .venv)
	@echo "== installing into .venv (about five minutes the first time)"
	@.venv/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt \
	  -e '.[book,test,results,slurm,footage,export]' || { echo "Cannot install: see pip's last lines above. Most often the \
	network is out of reach (behind a proxy, set HTTPS_PROXY). Run the same command again to go on."; exit 1; }
	@echo "$(CURDIR)" > $@

executed: $(EXECUTED)

# A page that does not run through leaves its log instead, and is tried again next time.
_build/executed/%.ipynb: notebooks/%.ipynb $(RUNNING) $(CODE) $(NUMBERS)
	@mkdir -p $(@D); rm -f $@; echo "== running $<"
	@python tools/run_page.py $< _build/running/$*.ipynb _build/logs/$*.log || exit 0; \
	$(STRIP) _build/running/$*.ipynb; mv _build/running/$*.ipynb $@  # widgets' scripts need a network

_build/html/.executed: $(wildcard _build/executed/*.ipynb) $(LOGS) $(PAGES)
	@python tools/pages.py collect _build/source $(RAN)
	$(call BUILD,$(JUPYTER_BOOK))
	pytest -q tests/test_book.py --book _build/html --failed "$(basename $(notdir $(LOGS)))"
	@touch $@

_build/html/.published: $(PAGES) $(CODE)
	@python tools/pages.py collect _build/source
	$(call BUILD,$(STRICT))
	@touch $@

endif

$(INSTALLED): pyproject.toml constraints.txt $(if $(MOVED),moved)
moved:

# Outside the lock above: it takes hours, and has one of its own.
# TABLE=3.1, FIGURE=2.9 or ROW=table-3.1/reproj (several with commas) ask for a part.
results: $(INSTALLED)  ## recompute the published numbers: PROFILE=laptop (or gpu), TABLE=3.1 for a part
	@python -m posebook results $(TABLE:%=table-%) $(FIGURE:%=figure-%) $(subst $(COMMA), ,$(ROW)) \
	  --profile $(PROFILE) --jobs $(JOBS) $(SEEDS:%=--seeds %)

weights: $(INSTALLED)  ## make the trained networks that travel with the package: NAME=trans-reproj for one
	@python tools/weights.py $(NAME)
