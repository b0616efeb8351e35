# Short names for the few commands that people type; CMake does the work.

.PHONY: all demo demo-1000 test debug-test fault-test kill-test slurm-test bench bench-model peers \
        format clean deps help
.DEFAULT_GOAL := all

jobs := $(shell nproc)
demo := build/demo

# Open MPI asks root twice whether it means it.
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT = 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = 1
endif

help:
	@echo "make             build the program: build/release/lrpipe"
	@echo "make demo        build it and repeat the paper's E5 on a small model, with two process ranks"
	@echo "make demo-1000   1000 configurations of that model in one job: minutes; continues if stopped"
	@echo "make test        build with warnings as errors and run all tests"
	@echo "make debug-test  the same with AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make fault-test  calls that fail: memory, writes, reads; one after the other"
	@echo "make kill-test   50 runs that are killed and resumed, and one of 1000 configurations"
	@echo "make slurm-test  as root: a Slurm cluster of two network namespaces, ten minutes or more"
	@echo "make bench       measure decompositions and evaluations beside LAPACK and PyTorch: an hour"
	@echo "make bench-model measure those of a model of 13.5 GB: 30 GB of disk"
	@echo "make peers       compare ids, scores and metrics with those of lm-evaluation-harness"
	@echo "make deps        check for the Debian packages that are needed; root installs them"
	@echo "make format      lay out the source with clang-format"
	@echo "make clean       remove build/"

all: deps
	cmake --preset release
	cmake --build --preset release -j$(jobs) --target lrpipe

demo: deps
	cmake --preset release
	cmake --build --preset release -j$(jobs) --target lrpipe
	mpirun --oversubscribe -np 2 build/release/lrpipe jobs/demo.yaml
	mpirun --oversubscribe -np 2 build/release/lrpipe --quiet choose $(demo)/run --reduction 9%
	@echo
	@echo "The table is in $(demo)/run/tradeoff.csv; $(demo)/run/report.html is the page to look at."

demo-1000: deps
	cmake --preset release
	cmake --build --preset release -j$(jobs) --target lrpipe
	mpirun --oversubscribe -np 2 build/release/lrpipe jobs/demo-1000.yaml

test: deps
	cmake --preset ci
	cmake --build --preset ci -j$(jobs)
	cmake --build --preset ci -j$(jobs) --target all_verify_interface_header_sets
	ctest --preset ci

debug-test: deps
	cmake --preset debug
	cmake --build --preset debug -j$(jobs)
	ctest --preset debug

# Exit code 77: skipped, with the reason.
fault-test: deps
	cmake --preset ci
	cmake --build --preset ci -j$(jobs) --target fault-test

kill-test: deps
	cmake --preset ci
	cmake --build --preset ci -j$(jobs)
	LRP_TEST_KILLS=50 ctest --preset ci -R cli_resume
	LRPIPE_BINARY=build/ci/lrpipe SYNTH_MODEL=build/ci/tests/tools/synth_model LRP_TEST_MANY=999 \
	  python3 -B tests/cli/test_many.py

slurm-test: deps
	cmake --preset release
	cmake --build --preset release -j$(jobs) --target lrpipe synth_model
	tests/slurm/run.sh build/release || test $$? -eq 77

# Lines of JSON go to build/bench.jsonl and, at the end, to stdout; tables go to stderr. A forced
# BLAS kernel would halve everything.
bench_run := env -u OPENBLAS_CORETYPE
bench_programs := build/release/tests/bench
bench: deps
	cmake --preset release
	cmake --build --preset release -j$(jobs) --target bench_decompose bench_evaluate lrpipe \
	  synth_model
	$(bench_run) $(bench_programs)/bench_decompose > build/bench.jsonl
	$(bench_run) mpirun --oversubscribe --bind-to none -np 2 $(bench_programs)/bench_decompose --grid \
	  >> build/bench.jsonl
	$(bench_run) $(bench_programs)/evaluate/bench_evaluate >> build/bench.jsonl
	python3 tests/bench/evaluate/whole_evaluation.py build/release >> build/bench.jsonl
	@cat build/bench.jsonl

bench-model: deps
	cmake --preset release
	cmake --build --preset release -j$(jobs) --target lrpipe synth_model
	python3 tests/bench/whole_model.py build/release

# The peers are large and change: they live in a virtual environment of their own, made from PyPI
# where LRP_PEERS_VENV says. Exit code 77: skipped, with the reason.
peers: deps
	@test -n "$(LRP_PEERS_VENV)" || { echo "set LRP_PEERS_VENV to a directory for 6 GB" >&2; exit 2; }
	test -x "$(LRP_PEERS_VENV)/bin/lm_eval" || tests/peers/make_venv.sh "$(LRP_PEERS_VENV)"
	cmake --preset release
	cmake --build --preset release -j$(jobs) --target lrpipe peer_tokens
	"$(LRP_PEERS_VENV)/bin/python" -B tests/peers/check_peers.py build/release \
	  --page build/peers.md || test $$? -eq 77

format:
	find kernels io pipeline tests -name '*.[ch]' -exec clang-format -i {} +

clean:
	rm -rf build

deps:
	@.ci/deps
