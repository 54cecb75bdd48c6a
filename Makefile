# Seedbed: build, test and check. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
# Targets build on each other through files that make does not see, and the go command is parallel itself.
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# gRPC's request tracing would link html/template, which calls methods by name: the linker would keep
# every method of every type, a third of the program, and the agent would have it in memory.
TAGS := grpcnotrace
LDFLAGS := -s -w -X seedbed.dev/seedbed/controllers/cli.Version=$(VERSION)

# Tests and the seed find etcd and Kubernetes here; a folder of your own may be named instead.
KUBEBUILDER_ASSETS ?= $(CURDIR)/bin/components/current
# What the tests are limited to, such as TEST=./controllers/render/...
TEST ?= ./...
TESTFLAGS ?=
BENCH ?= .
BENCHTIME ?= 1s
FUZZTIME ?= 10s
IMAGE ?= seedbed:$(VERSION)

# --- Tools -----------------------------------------------------------------------------------
# Each tool is built once into bin/tools, under a name that changes with its pinned version, with
# its dependencies and with Go. golangci-lint and Helm bring so many dependencies that they have
# modules of their own: in one module each would move the versions that the others are built with.
TOOLS := bin/tools
tool_key = $(shell { cat $(1)/go.mod $(1)/go.sum; $(GO) env GOVERSION; } | sha256sum | cut -c1-12)
TOOLS_KEY := $(call tool_key,hack/tools)
CONTROLLER_GEN := $(TOOLS)/controller-gen-$(TOOLS_KEY)
CRD_REF_DOCS := $(TOOLS)/crd-ref-docs-$(TOOLS_KEY)
KUBECONFORM := $(TOOLS)/kubeconform-$(TOOLS_KEY)
SETUP_ENVTEST := $(TOOLS)/setup-envtest-$(TOOLS_KEY)
BENCHSTAT := $(TOOLS)/benchstat-$(TOOLS_KEY)
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(call tool_key,hack/tools/golangci)
HELM := $(TOOLS)/helm-$(call tool_key,hack/tools/helm)

define build_tool
	@mkdir -p $(TOOLS)
	@echo "building $(notdir $@)" >&2
	@CGO_ENABLED=0 $(GO) -C $(1) build -trimpath -ldflags='-s -w' -o $(CURDIR)/$@ $(2)
endef

$(CONTROLLER_GEN):
	$(call build_tool,hack/tools,sigs.k8s.io/controller-tools/cmd/controller-gen)
$(CRD_REF_DOCS):
	$(call build_tool,hack/tools,github.com/elastic/crd-ref-docs)
$(KUBECONFORM):
	$(call build_tool,hack/tools,github.com/yannh/kubeconform/cmd/kubeconform)
$(SETUP_ENVTEST):
	$(call build_tool,hack/tools,sigs.k8s.io/controller-runtime/tools/setup-envtest)
$(BENCHSTAT):
	$(call build_tool,hack/tools,golang.org/x/perf/cmd/benchstat)
$(GOLANGCI_LINT):
	$(call build_tool,hack/tools/golangci,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
$(HELM):
	$(call build_tool,hack/tools/helm,helm.sh/helm/v3/cmd/helm)

##@ General

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; echo "Variables: TEST=$(TEST)  BENCH=$(BENCH)  FUZZTIME=$(FUZZTIME)  IMAGE=$(IMAGE)"

.PHONY: build
build: ## Build bin/seedbed, one static binary.
	CGO_ENABLED=0 $(GO) build -trimpath -tags='$(TAGS)' -ldflags='$(LDFLAGS)' -o bin/seedbed .

.PHONY: components
components: $(SETUP_ENVTEST) ## Get etcd and the Kubernetes components into bin/components (once; minutes if built).
	SETUP_ENVTEST=$(CURDIR)/$(SETUP_ENVTEST) hack/components.sh

.PHONY: demo
demo: build components ## Show the main job on an embedded seed, without root, in about a minute.
	hack/demo/demo.sh

# --- The lab -----------------------------------------------------------------------------------
# LAB_NAME tells several labs on one machine apart. LAB=skip is for machines that cannot run one.
export LAB_NAME ?= lab
LAB_FLAGS ?=
NODE ?= node-a
CMD ?=
lab = $(GO) run ./hack/lab/cmd

.PHONY: lab
lab: ## Boot a lab of three bare hosts and leave it up (needs root; LAB_FLAGS, LAB_NAME).
	@$(lab) up $(LAB_FLAGS)

.PHONY: lab-shell
lab-shell: ## Open a shell on NODE=node-a (or NODE=seed), or run CMD='...' there.
	@$(lab) exec $(NODE) -- $(CMD)

.PHONY: lab-down
lab-down: ## End the lab and remove all of it.
	@$(lab) down

E2EFLAGS ?=

.PHONY: e2e
e2e: ## Test on three hosts that it boots and takes down, with either subnet manager (needs root).
	@hack/lab/e2e.sh all $(E2EFLAGS)

.PHONY: e2e-short
e2e-short: ## Test on two hosts, without what takes long.
	@hack/lab/e2e.sh short $(E2EFLAGS)

.PHONY: image
image: ## Build the container image (needs a container engine).
	docker build --file config/manager/Dockerfile --build-arg VERSION=$(VERSION) --tag $(IMAGE) .

.PHONY: clean
clean: ## Remove everything that was built.
	rm -rf bin

##@ Tests

.PHONY: test
test: components $(HELM) $(KUBECONFORM) ## Run all tests with the race detector, on a real kube-apiserver; needs no root.
	@command -v "$$($(GO) env CC)" >/dev/null || { \
	  echo "make test: the race detector needs a C compiler and '$$($(GO) env CC)' is not there: install gcc, or run 'make test-unit'" >&2; exit 1; }
	@KUBEBUILDER_ASSETS='$(KUBEBUILDER_ASSETS)' HELM=$(CURDIR)/$(HELM) KUBECONFORM=$(CURDIR)/$(KUBECONFORM) \
	  CGO_ENABLED=1 hack/test.sh -race $(TESTFLAGS) -- $(TEST)

.PHONY: test-unit
test-unit: ## Run the tests that need nothing but Go; the others are listed as skipped.
	@KUBEBUILDER_ASSETS=none hack/test.sh -short $(TESTFLAGS) -- $(TEST)

.PHONY: bench
bench: build components ## Run the benchmarks and print a table with the targets.
	@mkdir -p bin/bench
	@KUBEBUILDER_ASSETS='$(KUBEBUILDER_ASSETS)' $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem -timeout 30m $(TEST) \
	  | tee bin/bench/latest.txt | $(GO) run ./hack/bench

.PHONY: bench-compare
bench-compare: $(BENCHSTAT) ## Compare the last benchmark run with BASE=FILE, an earlier bin/bench/latest.txt.
	$(BENCHSTAT) $(or $(BASE),$(error BASE=FILE is missing)) bin/bench/latest.txt

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME.
	hack/fuzz.sh $(FUZZTIME) $(TEST)

##@ Code

.PHONY: generate
generate: $(CONTROLLER_GEN) $(CRD_REF_DOCS) ## Generate deepcopy, CRDs, the chart's copies and the API reference.
	$(CONTROLLER_GEN) object paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd
	hack/chart-files.sh
	$(CRD_REF_DOCS) --source-path=api --config=hack/crd-ref-docs/config.yaml --templates-dir=hack/crd-ref-docs \
	  --renderer=markdown --output-path=docs/reference/api.md --log-level=ERROR

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format Go code and order its imports.
	$(GOLANGCI_LINT) fmt

MODULES := . hack/seed hack/tools hack/tools/golangci hack/tools/helm $(patsubst %/go.mod,%,$(wildcard hack/lab/components/*/go.mod))

.PHONY: tidy
tidy: ## Tidy every Go module.
	for module in $(MODULES); do $(GO) -C $$module mod tidy; done

SCRIPTS = $(wildcard hack/*.sh hack/*/*.sh) .ci/run

.PHONY: lint
lint: $(GOLANGCI_LINT) chart-lint ## Lint Go, shell and the chart.
	$(GO) vet ./...
	$(GOLANGCI_LINT) run
	for script in $(SCRIPTS); do bash -n "$$script"; done
	@if command -v shellcheck >/dev/null; then echo shellcheck --severity=warning $(SCRIPTS); shellcheck --severity=warning $(SCRIPTS); \
	  else echo "shellcheck is not installed: shell scripts were parsed only"; fi

HELM_LINT = $(HELM) lint config/chart --strict --quiet --namespace seedbed-system --kube-version 1.31.0

.PHONY: chart-lint
chart-lint: $(HELM) ## Lint the Helm chart with its default and with all optional values.
	$(HELM_LINT)
	$(HELM_LINT) --values config/chart/ci/all-values.yaml

.PHONY: verify
verify: ## Generate, format, tidy and lint; fails when that changes a file.
	@test -z "$$(git status --porcelain)" || { git status --short; \
	  echo "make verify: commit or stash your changes first, so that what it changes can be told from them" >&2; exit 1; }
	@$(MAKE) --no-print-directory generate fmt tidy lint
	@test -z "$$(git status --porcelain)" || { git --no-pager diff; git status --short; \
	  echo "make verify: the files above are not as committed: commit what 'make generate fmt tidy' makes" >&2; exit 1; }
	@echo "verified: nothing changed"
