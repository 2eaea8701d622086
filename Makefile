# What can be done here; `make help` lists it.
#
# run and test bring what they need: the web bundle by npm, and on Debian and
# Ubuntu as root ffmpeg and Chromium by apt (integration: Firefox, too, which
# Ubuntu has not). Elsewhere they say in one line which command to run.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

GO ?= go
# Go refuses to stamp a version when git does not trust the folder's owner.
VCS := $(shell git status >/dev/null 2>&1 && echo true || echo false)
LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2
FUZZTIME ?= 20s
ARGS ?=

SITE := clients/dist/site/index.html
MODULES := clients/node_modules/.package-lock.json
WEB := $(shell find clients/sdk clients/web -type f \
	-not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test/*' 2>/dev/null) clients/package.json
# Packages with tests that are too heavy for every run.
TAGGED = $(shell grep -rlE --include='*_test.go' '^//go:build .*\b$(1)\b' . 2>/dev/null | xargs -r -n1 dirname | sort -u)

# Modules of tests that bring a server along.
HEAVY := internal/blob/s3test

.PHONY: help build run test unit web-test e2e-short integration soak race lint fuzz bench load check web clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: web bin/sluice ## bin/sluice, with the pages inside

bin/sluice: FORCE
	@$(GO) build -trimpath -buildvcs=$(VCS) -o $@ ./cmd/sluice

run: build ## serve on http://localhost:8080; ARGS="--https :8443" adds flags
	@exec bin/sluice serve $(ARGS)

web: $(SITE) ## the pages, when their source has changed

$(MODULES): clients/package-lock.json
	@scripts/bring node
	@cd clients && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(SITE): $(MODULES) $(WEB)
	@cd clients && npm run --silent build
	@touch $@

test: ## all that runs within ten minutes: Go, pages, and a short story in Chromium
	@scripts/bring node ffmpeg chromium
	@$(MAKE) build unit web-test e2e-short

unit:
	@echo "== go vet, then every Go test"
	@$(GO) vet ./...
	@$(GO) test -timeout 5m ./...

web-test: $(MODULES)
	@echo "== the pages' types and tests"
	@cd clients && npm run --silent check && npm run --silent test

e2e-short: bin/sluice
	@echo "== stories in Chromium"
	@scripts/stories clients/e2e

integration: ## the longer stories: real clients, faults, several processes
	@scripts/bring node ffmpeg chromium firefox postgresql nginx varnish
	@$(MAKE) build
	@echo "== Go tests with the tag integration (make test runs the others)"
	@files=$$(grep -rlE --include='*_test.go' '^//go:build .*\bintegration\b' .); \
		names=$$(sed -nE 's/^func (Test[A-Za-z0-9_]+)\(.*/\1/p' $$files | paste -sd '|'); \
		$(GO) test -tags integration -timeout 7m -run "^($$names)\$$" $(call TAGGED,integration)
	@echo "== Go tests beside heavy servers, in modules of their own"
	@for module in $(HEAVY); do scripts/heavy "$$module"; done
	@echo "== stories in Chromium and Firefox"
	@scripts/stories clients/e2e/integration

soak: ## what takes long, by hand; results go to loadtest/results; SOAK_SECONDS=300
	@scripts/bring node ffmpeg chromium firefox
	@$(MAKE) build
	@scripts/stories clients/e2e/soak
	@packages="$(call TAGGED,soak)"; \
		if [ -n "$$packages" ]; then $(GO) test -tags soak -timeout 0 $$packages; fi
	@scripts/measure churn --connects 10000

load: build ## measure 100 viewers of one stream on this machine
	@scripts/measure viewers --steps 100 $(ARGS)

race: ## every Go test under the race detector
	@$(GO) test -race -timeout 15m ./...

lint: ## golangci-lint (the first time it is built, which takes minutes)
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	@$(GO) run $(LINT) run --build-tags integration,soak ./...

fuzz: ## every fuzz test for FUZZTIME (20s)
	@grep -rlE --include='*_test.go' '^func Fuzz' . | while read -r file; do \
		for name in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")"; \
		done; \
	done

bench: ## every benchmark, held against the committed baseline; COUNT=6
	@scripts/bench

check: ## what to run before a commit: format, vet, layout, Go tests; no browser
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	@$(MAKE) unit

clean: ## remove what was built
	@rm -rf bin clients/dist/site clients/sdk/dist
