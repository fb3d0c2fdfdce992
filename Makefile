# Everything below sets up what it needs. Another Python: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
NEO4J := $(BIN)/python scripts/neo4j_server.py
IDE := explorer/ide/dist/index.html

.DEFAULT_GOAL := help
.PHONY: help demo test chaos mutants neo4j lint format bench schema ide

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## a walk through the ledger; STORE=neo4j on a Neo4j of its own
	$(BIN)/python -m examples.flask_docs

test: $(READY) $(IDE) ## all tests, those against a real Neo4j among them
	$(NEO4J) fetch
	$(BIN)/pytest --numprocesses=auto --maxprocesses=3 --dist=loadfile

chaos: $(READY) ## three services on one Neo4j, beaten for three minutes
	$(NEO4J) fetch
	$(BIN)/python -m tests.chaos

mutants: $(READY) ## each law broken on purpose: a test must notice
	$(BIN)/python -m tests.mutants

neo4j: $(READY) ## a Neo4j in the foreground, until Ctrl-C
	$(NEO4J) run

lint: $(READY) ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## put style and format right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## the benchmarks, and their page in docs/: 20 minutes
	$(NEO4J) fetch
	$(BIN)/python -m benchmarks --docs docs

schema: $(READY) ## write the GraphQL schema to graphql/schema.graphql
	$(BIN)/python -m ledger.api.schema

ide: $(IDE) ## the page at /graphql; needs Node.js and npm

$(IDE): $(filter-out explorer/ide/dist explorer/ide/node_modules,$(wildcard explorer/ide/*))
	@command -v npm >/dev/null || { echo "Node.js and npm are needed for the page at /graphql." >&2; exit 1; }
	cd explorer/ide && npm ci --silent && npm run --silent build

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; '$(PYTHON)' is not. Name one: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench,demo,test,dev]'
	@touch $@
