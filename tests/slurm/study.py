#!/usr/bin/env python3
"""A study for run.sh: study.py make DIR | study.py same OUT OUT."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import lrp  # noqa: E402

# A minute of two process ranks, in pieces of a second at most.
MODEL = ("--hidden", 512, "--intermediate", 1408, "--layers", 8, "--heads", 8, "--vocab", 400,
         "--max-position", 256)
CONFIGURATIONS = [
    {"name": "dense"},
    {"name": "r1", "layers": "all", "tensors": "all", "rank": 1},
    {"name": "r64", "layers": "all", "tensors": "all", "rank": 64},
]


def make(folder):
    """folder/job.yaml, whose output is folder/out, and what it needs."""
    model = lrp.synth_model(os.path.join(folder, "model"), *MODEL)
    data = lrp.write_data(os.path.join(folder, "data"), rows=300)
    job = lrp.job(model, os.path.join(folder, "out"), data, configurations=CONFIGURATIONS)
    lrp.write_job(os.path.join(folder, "job.yaml"), job)


def same(one, two):
    """Scores and samples, and the factors bit by bit where h5py can read them."""
    assert lrp.scores(one) == lrp.scores(two), f"{one} and {two}: other scores"
    if not lrp.have_h5py():
        return
    a, b = lrp.factors(one), lrp.factors(two)
    assert a.keys() == b.keys(), f"{one} and {two}: other factors"
    for name, value in a.items():
        assert (value == b[name]).all(), f"{one} and {two}: {name} differs"


if __name__ == "__main__":
    {"make": make, "same": same}[sys.argv[1]](*sys.argv[2:])
