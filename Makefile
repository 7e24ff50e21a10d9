# The few commands of this repository. Tools are pinned here.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: test
test: ## Run all tests on real servers, race detector on: what CI runs
	dev/services up || { test "$$CI" != true && echo 'make: tests that need what is missing will skip' >&2; }
	go build ./...
	go vet ./...
	$(MAKE) --no-print-directory --keep-going --jobs waiting working whole

# Like C, the C of SQLite in Go is left out by the race detector: with it, it is five times slower.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false -timeout 30m
SERVED := set -a; eval "$$(dev/services env)"; set +a; exec

# Tests of processes mostly wait. They do so beside those that compute, one package after the other.
.PHONY: waiting working
waiting:
	$(SERVED) go test $(RACE) -p 1 -parallel 4 ./dev/chaos ./cmd/vedette
working:
	$(SERVED) go test $(RACE) $$(go list ./... | grep -vE '/(cmd/vedette|dev/chaos)$$')

# Sizes that are smaller under the race detector.
.PHONY: whole
whole:
	go test -run TestThreeNodes ./schedule

.PHONY: build
build: ## Build one static binary, bin/vedette
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/vedette ./cmd/vedette

.PHONY: lint
lint: ## Run golangci-lint as pinned
	go run $(GOLANGCI_LINT) run ./...

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (1m)
	dev/fuzz $(or $(FUZZTIME),1m)

.PHONY: bench
bench: ## Print ours beside the floor, in one run
	go run ./dev/bench/watch
	dev/services up postgres kafka
	env $$(dev/services env postgres kafka) go run ./dev/bench/record
	dev/services up redis
	cd dev/bench/queue && env $$(../../services env postgres redis) go run .
