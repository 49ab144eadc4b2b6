# Everything a developer runs; each target makes the virtual environment it needs.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
EXAMPLE := build/example
HELLO := share/mirage/hello.hvt
# Nix with a store of its own: it needs no daemon, no build users and no /etc/nix, and fetches nothing.
NIX := $(CURDIR)/build/nix
NIX_BUILD := env NIX_REMOTE= NIX_CONFIG= NIX_CONF_DIR="$(NIX)/conf" NIX_USER_CONF_FILES= \
  NIX_STORE_DIR="$(NIX)/store" NIX_STATE_DIR="$(NIX)/state" NIX_LOG_DIR="$(NIX)/log" \
  XDG_CACHE_HOME="$(NIX)/cache" nix-build \
  --option build-users-group '' --option sandbox false --option substitute false

$(BIN)/pkggen: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.PHONY: example test slow lint types bench clean
example: $(BIN)/pkggen  ## package the example record for Nix, and build it where Nix is installed
	$(BIN)/pkggen nix examples/hello/record --overlay --output $(EXAMPLE)
	@if command -v nix-build >/dev/null; then \
	  set -e; \
	  $(NIX_BUILD) $(EXAMPLE) --attr hello-unikernel --arg pkgs 'import ./tests/nixpkgs { }' \
	    --out-link $(EXAMPLE)/result; \
	  sha256sum examples/hello/record/bin/hello.hvt $(EXAMPLE)/result/$(HELLO); \
	  cmp examples/hello/record/bin/hello.hvt $(EXAMPLE)/result/$(HELLO); \
	else \
	  echo 'nix-build is not installed: the package is written, not built' >&2; \
	fi

test: $(BIN)/pkggen  ## the fast tests
	$(BIN)/pytest -n 3 -m 'not slow'

slow: $(BIN)/pkggen  ## the tests that take minutes
	$(BIN)/pytest -m slow

lint: $(BIN)/pkggen
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(BIN)/pkggen
	$(BIN)/mypy

bench: $(BIN)/pkggen  ## ratios against peers, in one run
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.fetch
	$(BIN)/python -m tests.bench.rebuild
	$(BIN)/python -m tests.bench.nix
	$(BIN)/python -m tests.bench.apt
	$(BIN)/python -m tests.bench.deb
	$(BIN)/python -m tests.bench.ports

clean:  ## remove what the others made; what is in a Nix store is read-only
	if [ -d build ]; then chmod -R u+w build; fi
	rm -rf build $(VENV)
