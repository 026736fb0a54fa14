# Everything that people do with a checkout. Needs Go, a JDK 17 or later and Maven; nothing else is installed.
# Works with GNU Make 3.81 too, which is what macOS has.
SHELL := bash
.DEFAULT_GOAL := help

BIN        := $(CURDIR)/.cache/bin
GANTRY     := bin/gantry
TEST_STACK := .cache/test-stack
# Two packages at a time: most tests wait for servers, and those have to share the cores with them.
TEST_FLAGS ?= -race -p 2 -timeout 20m
# The end-to-end tests run alone, after the others: they stop, freeze and restart things and should not wait for cores.
PKGS       ?= $(shell go list ./... | grep -v '/e2e$$')
# With -race here the binary under test has the race detector, too; beside all servers that takes more than two cores.
E2E_FLAGS  ?= -timeout 20m
GO_FILES    = $(shell find . -path ./.cache -prune -o -name '*.go' -print)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/gantry
	@mkdir -p bin
	go build -o $(GANTRY) ./cmd/gantry

.PHONY: demo
demo: build ## Copy the New York flights through RocketMQ into Postgres, with live progress (ONCE=1: end after the check)
	@$(GANTRY) demo $(if $(ONCE),--once)

.PHONY: clean-demo
clean-demo: build ## Stop the demo and delete its data, so that it starts over
	@$(GANTRY) dev down --dir .cache/demo/stack --clean
	@rm -rf .cache/demo

.PHONY: prepare
prepare: build ## Build and fetch the servers into .cache/ (again only what changed)
	@$(GANTRY) dev prepare

.PHONY: up
up: build ## Start Postgres, RocketMQ, Temporal and Gantry (worker and API) in the background
	@$(GANTRY) dev up --parts all,gantry --background

.PHONY: down
down: build ## Stop what `make up` started
	@$(GANTRY) dev down

.PHONY: status
status: build ## Show what runs and where
	@$(GANTRY) dev status

.PHONY: test-stack
test-stack: build ## Start the servers that tests share, in the background, unless they run
	@$(GANTRY) dev status --dir $(TEST_STACK) >/dev/null 2>&1 || \
		$(GANTRY) dev up --dir $(TEST_STACK) --parts all --ports free --unsafe --background

.PHONY: test-stack-down
test-stack-down: build ## Stop the servers that tests share and delete their data
	@$(GANTRY) dev down --dir $(TEST_STACK) --clean

# The servers are stopped again after the last of the runs that share them, unless `make test-stack` has started them.
# MAKE_COMMAND, because a line with MAKE is carried out by `make -n`, too.
.PHONY: test
test: build ## Run all tests against the real servers (PKGS=./catalog/...: only those)
	@$(GANTRY) dev run --dir $(TEST_STACK) --ports free --unsafe -- $(MAKE_COMMAND) --no-print-directory run-tests

# On servers that run already.
.PHONY: run-tests
run-tests:
	@status=0; \
	go test $(TEST_FLAGS) $(PKGS) || status=$$?; \
	$(if $(filter file,$(origin PKGS)),go test $(E2E_FLAGS) ./e2e || status=$$?;) \
	exit $$status

# Programs from PyPI, each in an environment of its own. They need Python 3.10: where there is none, this says so and goes on.
VENVS  := $(CURDIR)/.cache/venv
PYTHON := python3 -c 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1

# $(call with-python,folder of tools/,program in it,variable that names the program to the test,build tag,test)
with-python = @if ! $(PYTHON); then echo "not asked: there is no Python 3.10 or later with venv here"; else \
	$(MAKE) --no-print-directory --silent $(VENVS)/$(1)/installed && \
	$(3)=$(VENVS)/$(1)/bin/$(2) $(MAKE) --no-print-directory test PKGS=./e2e \
		TEST_FLAGS="-race -count=1 -tags $(4) -timeout 8m -v -run $(5)"; fi

$(VENVS)/%/installed: tools/%/requirements.txt
	@python3 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.PHONY: fuzz-api
fuzz-api: ## Hold the REST API against its OpenAPI document, with requests made up by Schemathesis (a minute; needs python3)
	$(call with-python,schemathesis,schemathesis,SCHEMATHESIS,schemathesis,TestAnswersAreAsTheDocumentSays)

.PHONY: test-python-client
test-python-client: ## Drive an unmodified command line of Kafka Connect's, from PyPI (some seconds; needs python3)
	$(call with-python,kafka-connect-py,kafka-connect,KAFKA_CONNECT_PY,pythonclient,TestAnUnmodifiedPythonClient)

.PHONY: bench
bench: build ## Measure this machine's raw rates and Gantry's, and how fast it fails over
	@$(GANTRY) bench

.PHONY: lint
lint: lint-format lint-vet lint-staticcheck lint-workflows lint-vulnerabilities lint-compose ## Run every check that needs no servers

.PHONY: lint-format
lint-format:
	@unformatted=$$(gofmt -l $(GO_FILES)) || exit 1; \
	if [ -n "$$unformatted" ]; then printf 'not formatted (run make fmt):\n%s\n' "$$unformatted"; exit 1; fi

.PHONY: lint-vet
lint-vet:
	go vet ./...

.PHONY: lint-staticcheck
lint-staticcheck: $(BIN)/lint.built
	$(BIN)/staticcheck ./...

# Finds clocks, randomness, goroutines and map iteration in workflow code, which must give the same on every replay.
.PHONY: lint-workflows
lint-workflows: $(BIN)/lint.built
	$(BIN)/workflowcheck ./workflows/...

# govulncheck ends with 3 if the code calls something vulnerable. That fails; a database that cannot be reached is only said.
.PHONY: lint-vulnerabilities
lint-vulnerabilities: $(BIN)/lint.built
	@status=0; out=$$($(BIN)/govulncheck ./... 2>&1) || status=$$?; \
	if [ $$status -eq 0 ]; then echo "govulncheck: nothing vulnerable is called"; \
	elif [ $$status -ne 3 ] && grep -qiE 'vuln\.go\.dev|fetching vulnerabilities|dial tcp|no such host|i/o timeout|HTTP (GET|error)|status code' <<<"$$out"; then \
		printf 'govulncheck: its database cannot be reached, so nothing was checked:\n%s\n' "$$(tail -n 2 <<<"$$out")"; \
	else printf '%s\n' "$$out"; exit 1; fi

# The reference implementation of the Compose Specification reads the file, which needs no container engine.
.PHONY: lint-compose
lint-compose: $(BIN)/compose-spec
	@$(BIN)/compose-spec docker-compose.yml >/dev/null && echo "docker-compose.yml is valid"

.PHONY: fmt
fmt: ## Format all Go files
	@gofmt -w $(GO_FILES)

.PHONY: tctl
tctl: build ## Build the pinned tctl into .cache/bin/tctl
	@$(GANTRY) dev prepare --parts tctl
	@echo "$(BIN)/tctl"

.PHONY: tools
tools: $(BIN)/lint.built ## Build the pinned checkers into .cache/bin

$(BIN)/lint.built: tools/lint/go.mod tools/lint/go.sum
	@mkdir -p $(BIN)
	@echo "building staticcheck, workflowcheck and govulncheck (about half a minute, once)"
	@GOFLAGS= GOWORK=off go build -C tools/lint -buildvcs=false -o $(BIN)/ tool
	@touch $@

$(BIN)/compose-spec: tools/compose/go.mod tools/compose/go.sum
	@mkdir -p $(BIN)
	@GOFLAGS= GOWORK=off go build -C tools/compose -buildvcs=false -o $@ github.com/compose-spec/compose-go/v2/cmd

.PHONY: clean
clean: ## Delete what was built (not .cache/, which takes minutes to fill again)
	rm -rf bin

.PHONY: clean-all
clean-all: down test-stack-down clean ## Stop all servers and delete everything that was built, fetched or stored
	rm -rf .cache
