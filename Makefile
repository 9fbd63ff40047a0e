# `make run` and `make test` set everything up by themselves. UV is found, or installed into .uv.

PORT ?= 8000
HOST ?= 127.0.0.1
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --frozen --quiet
PYTHON ?= python3
# The length of `make chaos` in seconds.
SECONDS ?= 600
# Use the machine's trusted certificates, for example behind a company's proxy.
export UV_SYSTEM_CERTS := 1
# Without it the first start compiles every package, and takes three times as long.
export UV_COMPILE_BYTECODE := 1

.PHONY: help install run build test test-newest check docs house format bench million chaos chat-kills crash-points reloads worst openapi vendor traces pictures incidents migrations clean

help:
	@echo "make run [PORT=8001]  install, migrate and serve"
	@echo "make build            make the wheel and the sdist, in dist"
	@echo "make test             run the whole test suite, on SQLite and PostgreSQL; ARGS go to pytest"
	@echo "make test-newest      the same with the newest releases of all packages"
	@echo "make check            lint, format check, types, Django's checks, layers"
	@echo "make docs             build the documentation as a site: var/docs/index.html"
	@echo "make house            report large modules, misplaced names and archaic wording; ARGS=prose lists the phrases"
	@echo "make openapi          update the API's document, docs/openapi.json"
	@echo "make vendor           fetch the third-party files of the pages again, by npm"
	@echo "make traces           measure the chat page by Chromium's traces: tokens, long tasks, shifts, long threads"
	@echo "make pictures         take the pictures of the documentation again; ARGS are the names of some"
	@echo "make incidents        play ten incidents, find and mend each in the admin, and take their pictures; ARGS are the names of some"
	@echo "make bench            measure against a bare LangGraph loop"
	@echo "make million          measure the admin over a million runs and ten million events; ARGS='--runs=100000 --plans'"
	@echo "make crash-points     play 600 generated graphs with a crash, a drain or a cancel at drawn points; ARGS=--seed=1"
	@echo "make chat-kills       kill the server 20 times in mid-answer, and compare the chat page with the state; ARGS=--seed=1"
	@echo "make reloads          save a project's code while a run executes, many times; ARGS=--times=50"
	@echo "make worst            send the worst to each route, and measure how long others wait; ARGS=--only=store"
	@echo "make chaos            execute thousands of runs while processes and the database fail; SECONDS=600, ARGS=--seed=1"

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv

# `--inexact`: packages that the user's agent needs stay installed.
install: $(filter .uv/bin/uv,$(UV))
	$(UV) sync --frozen --inexact --quiet --python "$(PYTHON)"

run: install
	$(RUN) python manage.py migrate --verbosity 0
	exec $(RUN) python manage.py serve --host $(HOST) --port $(PORT)

# Packages of the tested JavaScript clients. If they, Node.js or Chromium are missing, tests are skipped with a reason.
CLIENTS := $(if $(shell command -v npm 2>/dev/null),tests/clients/node_modules tests/browser/node_modules)

%/node_modules: %/package-lock.json
	cd $* && npm ci --silent --ignore-scripts --no-audit --no-fund && touch node_modules || echo "npm ci failed in $*"

build: $(filter .uv/bin/uv,$(UV))
	$(UV) build --quiet --clear --out-dir dist
	@ls dist/*

test: install $(CLIENTS)
	$(RUN) python -m tests $(ARGS)

# The newest releases allowed by pyproject.toml, in a separate environment; uv.lock does not change.
test-newest: install $(CLIENTS)
	rm -rf .newest && mkdir .newest && cp pyproject.toml README.md .newest/
	cd .newest && $(abspath $(shell command -v $(UV) || echo $(UV))) lock --quiet
	cd .newest && UV_PROJECT_ENVIRONMENT=$(CURDIR)/.venv-latest $(abspath $(shell command -v $(UV) || echo $(UV))) sync --quiet --python "$(PYTHON)"
	.venv-latest/bin/python -m tests $(ARGS)

check: install
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy .
	$(RUN) python manage.py check
	$(RUN) python manage.py makemigrations --check --dry-run
	$(RUN) lint-imports

# The pages of docs/ as a site, in a separate environment; a warning is an error.
docs: $(filter .uv/bin/uv,$(UV))
	UV_PROJECT_ENVIRONMENT=.venv-docs $(UV) sync --frozen --quiet --only-group docs --python "$(PYTHON)"
	.venv-docs/bin/python -m sphinx -W --keep-going -q -b html docs var/docs
	@echo "var/docs/index.html"

house: install
	$(RUN) python -m tests.house $(ARGS)

openapi: install
	$(RUN) python manage.py openapi > docs/openapi.json

vendor: install
	$(RUN) python -m tests.browser.vendor

traces: install $(CLIENTS)
	$(RUN) python -m tests.browser traces

pictures: install $(CLIENTS)
	$(RUN) python -m tests.browser pictures $(ARGS)

incidents: install $(CLIENTS)
	$(RUN) python -m tests.incidents $(ARGS)

format: install
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: install
	$(RUN) python -m tests.bench

million: install
	$(RUN) python -m tests.million $(ARGS)

crash-points: install
	$(RUN) python -m tests.crash_points $(ARGS)

chat-kills: install $(CLIENTS)
	$(RUN) python -m tests.browser.kills $(ARGS)

# A save of the project's code with a run in the middle, many times, on both databases.
reloads: install
	$(RUN) python -m tests.reloads $(ARGS)

worst: install
	$(RUN) python -m tests.worst $(ARGS)

chaos: install
	$(RUN) python -m tests.chaos --seconds $(SECONDS) $(ARGS)

clean:
	rm -rf .venv .uv .pytest_cache .mypy_cache .ruff_cache
