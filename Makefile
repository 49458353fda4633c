# Every cargo call uses the same flags, so that nothing heavy is compiled twice.
PROFILE  := release
CARGO    := cargo
FLAGS    := --workspace --locked --profile $(PROFILE)
TARGET   := $(or $(CARGO_TARGET_DIR),target)/$(PROFILE)
VENV     := .venv
LISTEN   ?= 127.0.0.1:8080
REGISTRY ?= models.toml

# The torch plugin is built on libtorch: taken out of PyPI's wheels, unless LIBTORCH says where there is one.
# CUDA=1 takes the whole of it, for NVIDIA GPUs.
LIBTORCH_VARIANT := $(if $(CUDA),cuda,cpu)

.PHONY: build run test test-rust test-clients check bench clean help libtorch

help:            ## list the targets
	@grep -hE '^[a-z-]+: *.*##' $(MAKEFILE_LIST) | sed -E 's/: *[^#]*##/\t/' | expand -t 16

build: libtorch  ## compile the host and every plugin into target/release
	$(CARGO) build $(FLAGS)

run: build       ## serve the bundled models on 127.0.0.1:8080
	$(TARGET)/sensorium serve --registry $(REGISTRY) --listen $(LISTEN)

test: test-rust test-clients  ## run every test, after all the set-up that they need

test-rust: build $(VENV)/.ready
	SENSORIUM_TEST_PYTHON=$(CURDIR)/$(VENV)/bin/python $(CARGO) test $(FLAGS)

test-clients: build $(VENV)/.ready tests/clients/node/node_modules/.ready
	SENSORIUM_BIN=$(abspath $(TARGET)) $(VENV)/bin/python -m pytest -q tests

check: libtorch  ## formatting, lints, licences and advisories (the last where cargo-deny is installed)
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(FLAGS) --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --workspace check; else echo "cargo-deny is not installed: licences not checked"; fi

bench: build     ## side-by-side benchmarks; see bench/README.md
	bench/run.sh

clean:           ## remove everything that was built or installed here
	rm -rf target .libtorch $(VENV) tests/clients/node/node_modules bench/.venv

libtorch:        ## fetch libtorch for the torch plugin (0.5 GB; CUDA=1: 5 GB)
ifeq ($(origin LIBTORCH),undefined)
	plugins/torch/libtorch.sh .libtorch $(LIBTORCH_VARIANT)
endif

$(VENV)/.ready: tests/requirements.txt tests/clients/litellm.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --upgrade --target $(VENV)/litellm -r tests/clients/litellm.txt
	touch $@

# Node comes from the system, or else from a Python package that carries it.
tests/clients/node/node_modules/.ready: tests/clients/node/package-lock.json $(VENV)/.ready
	tests/clients/node/setup.sh $(CURDIR)/$(VENV)
	touch $@
