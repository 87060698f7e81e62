# `make figures` and `make test` set everything up first: one virtual environment, every version pinned.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= figures
SWEEP  ?= sweep.json

# The first look: layer by layer, estimate against certificate, free-running, and the forecast's curve.
FIRST  := fig04 fig06 fig07 sequence-tv

# Where `make families` writes what it found in every class of transformers.
TABLE  ?= families.csv

.PHONY: figures report test docs families mutate fuzz bench sim-full clean

figures: $(VENV)/installed
	$(BIN)/python -m paper_figs --out $(OUT) $(ARGS) --only $(FIRST)

# Every figure and table of the paper, and ours.
report: $(VENV)/installed
	$(BIN)/python -m paper_figs --out $(OUT) $(ARGS)

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 $(ARGS)

# The site: quick start, tutorials that are executed, theorems, API. Offline; open site/index.html.
docs: $(VENV)/docs-installed
	PYTHONPATH=.:docs NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# Every causal class of transformers, tiny: found and right, or refused. About a quarter of an hour; the table is $(TABLE).
families: $(VENV)/installed
	rm -f $(TABLE)
	FAMILIES_TABLE=$(TABLE) $(BIN)/python -m pytest -m slow tests/real/test_every_family.py $(ARGS)

# Every constant of every theorem changed by 1 %, hypotheses widened, signs flipped: noticed, or listed why not.
mutate: $(VENV)/installed
	$(BIN)/python -m pytest -m slow tests/theory/statements/test_mutations.py $(ARGS)

# Ten minutes of random command lines and tensors: an answer, or one sentence, never a traceback. FUZZ_SEED moves it.
fuzz: $(VENV)/installed
	$(BIN)/python -m pytest -m slow -s tests/test_fuzz.py $(ARGS)

# Paired ratios, each measured in one run with one torch thread; they are reported, not asserted.
bench: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m benchmark -s tests/benchmarks $(ARGS)

# More than an hour on two cores; resumes after being killed. The summary is $(SWEEP), checkpoints $(SWEEP).parts.
sim-full: $(VENV)/installed
	$(BIN)/python -m sim sweep --draws 1e8 --seed 0 --workers 2 --out $(SWEEP) $(ARGS)

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/docs-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

clean:
	rm -rf $(VENV) $(OUT) site build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
