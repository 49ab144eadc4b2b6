# Everything a developer runs; each target makes the virtual environment it needs.
VENV := .venv
BIN := $(VENV)/bin
EXAMPLE := build/example

$(BIN)/pkggen: pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.PHONY: example test slow lint types bench
example: $(BIN)/pkggen  ## package the example record for Nix, and build it where Nix is installed
	$(BIN)/pkggen nix examples/hello/record --overlay --output $(EXAMPLE)
	if command -v nix-build >/dev/null; then \
	  nix-build $(EXAMPLE) --attr hello-unikernel --arg pkgs 'import ./tests/nixpkgs { }' --out-link $(EXAMPLE)/result; \
	else \
	  echo 'nix-build is not installed: the package is written, not built' >&2; \
	fi

test: $(BIN)/pkggen  ## the fast tests
	$(BIN)/pytest -n 2 -m 'not slow'

slow: $(BIN)/pkggen  ## the tests that take minutes
	$(BIN)/pytest -m slow

lint: $(BIN)/pkggen
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(BIN)/pkggen
	$(BIN)/mypy

bench: $(BIN)/pkggen  ## ratios against peers, in one run
	$(BIN)/python tests/bench
