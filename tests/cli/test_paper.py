"""Sweeps, and the paper's experiments: results are those of separate runs of each configuration."""

import csv
import os
import unittest

import lrp

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.join(lrp.SHARED, "data", "models", "stories260K")
BENCH = os.path.join(lrp.SHARED, "data", "bench")
TASKS = ("arc_easy", "winogrande")


def rows(output):
    """tradeoff.csv: name -> row."""
    with open(os.path.join(output, "tradeoff.csv"), encoding="utf-8", newline="") as f:
        return {row["configuration"]: row for row in csv.DictReader(f)}


class Sweeps(lrp.Case):
    MODEL = ("--hidden", 32, "--intermediate", 48, "--layers", 5, "--heads", 4, "--kv-heads", 2,
             "--vocab", 400, "--max-position", 256)

    SWEEP = [
        {"name": "one", "each": "layer", "ranks": [1, 4]},
        {"name": "set", "layers": {"odd": ["1:4:2"], "all": "all"},
         "tensors": {"attention": "attention", "mlp": "mlp"}, "ranks": 2},
        {"name": "some", "samples": 6, "seed": 3, "ranks": [1, 2], "keep_first": 1},
    ]

    def assert_same(self, name, alone, out, tasks=("arc_easy", "piqa"), as_name=None):
        """Configuration name of alone is as_name of out, to the last bit."""
        mine, theirs = rows(alone)[name], rows(out)[as_name or name]
        self.assertEqual({**mine, "configuration": ""}, {**theirs, "configuration": ""})
        for task in tasks:
            self.assertEqual(lrp.samples(alone, name, task),
                             lrp.samples(out, as_name or name, task), (name, task))

    def test_equals_separate_runs(self):
        job, out = self.job("sweep", configurations=[{"name": "dense"}], sweep=self.SWEEP)
        self.complete(job, 2)
        names = list(rows(out))
        self.assertEqual(len(names), 1 + 10 + 4 + 6)
        self.assertEqual(names[:3], ["dense", "one-l00-r0001", "one-l00-r0004"])
        self.assertEqual(names[-7:-5], ["set-all-mlp", "some-00001"])
        mlp = ["gate_proj", "up_proj", "down_proj"]
        for name, listed in (
                ("dense", {}),
                ("one-l03-r0004", {"layers": 3, "rank": 4}),
                ("set-odd-attention", {"layers": [1, 3], "tensors": "attention", "rank": 2}),
                ("set-all-mlp", {"layers": "all", "tensors": mlp, "rank": 2})):
            job, alone = self.job("alone-" + name, configurations=[{"name": name, **listed}])
            self.complete(job, 1)
            self.assert_same(name, alone, out)
        job, alone = self.job("samples", configurations=[], sweep=self.SWEEP[2:])
        self.complete(job, 3)
        for name in rows(alone):
            self.assert_same(name, alone, out)

    def test_written_job_is_the_job(self):
        job, out = self.job("written", configurations=[], sweep=self.SWEEP)
        self.complete(job, 2)
        self.assertIn("\nsweep: \n  - name: \"one\"\n    each: layer\n    ranks: [1, 4]\n",
                      lrp.read(out, "job.yaml"))
        before = lrp.digests(out)
        copy = self.path("written-again.yaml")
        with open(copy, "w", encoding="utf-8") as f:
            f.write(lrp.read(out, "job.yaml"))
        self.complete(copy, 1)
        self.assertEqual(lrp.digests(out), before)

    def test_grows(self):
        def sweep(ranks, samples):
            return [{"name": "one", "each": "layer", "tensors": "mlp", "ranks": ranks},
                    {"name": "some", "samples": samples, "ranks": 1, "distance": 2}]
        job, out = self.job("grow", configurations=[], sweep=sweep([1], 3))
        self.complete(job, 2)
        before = lrp.digests(out)
        lrp.write_job(job, lrp.job(self.model, out, self.data, configurations=[],
                                   sweep=sweep([1, 3], 5)))
        self.complete(job, 1)
        self.assertEqual(lrp.digests(out)["evaluation.h5"], before["evaluation.h5"])
        fresh, whole = self.job("grown", configurations=[], sweep=sweep([1, 3], 5))
        self.complete(fresh, 2)
        self.assertEqual(lrp.scores(out), lrp.scores(whole))

    def test_another_seed_is_another_job(self):
        def sweep(seed):
            return [{"name": "some", "samples": 4, "seed": seed, "ranks": 1}]
        job, out = self.job("seed", configurations=[], sweep=sweep(1))
        self.complete(job, 2)
        lrp.write_job(job, lrp.job(self.model, out, self.data, configurations=[], sweep=sweep(2)))
        result = lrp.run([job], 2)
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertEqual(len(lrp.errors(result)), 1)
        self.assertIn("configuration some-0000", result.stderr)

    def test_duplicates_are_listed(self):
        job, _ = self.job("twice", sweep=[{"name": "one", "each": "layer", "ranks": 1}])
        result = lrp.run(["plan", job])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("'one-l01' has the ranks of 'r1' and is left out", result.stderr)
        self.assertIn("\nconfigurations  7\n", result.stdout)

    def test_thousands(self):
        job, _ = self.job("many", configurations=[],
                          sweep=[{"name": "s", "samples": 20000, "ranks": [1, 2, 3, 4]}])
        result = lrp.run(["plan", job])
        self.assertEqual(result.returncode, 0, result.stderr)
        # (2^7 - 1) sets of tensors x (2^5 - 1) of layers x 4 ranks
        self.assertIn("only 15748 configurations", result.stderr)
        self.assertIn("\nconfigurations  15748\n", result.stdout)


@unittest.skipUnless(os.path.isdir(MODEL), "needs stories260K, which is not part of a clone")
class Paper(lrp.Case):
    """jobs/paper on a model of five layers, 64 wide: layer l of 32 is round(4 l / 31)."""

    assert_same = Sweeps.assert_same

    def run_paper(self, name, *more):
        out = self.path(name + ".out")
        self.complete(os.path.join(ROOT, "jobs", "paper", name + ".yaml"), 2,
                      "--set", f"model={MODEL}", "--set", f"output={out}",
                      "--set", f"evaluate.data={BENCH}",
                      "--set", f"evaluate.tasks=[{', '.join(TASKS)}]", "--set", "evaluate.limit=12",
                      *more)
        return out

    def check(self, experiment, names, listed):
        """Names behind dense, and the same as separate runs of these configurations."""
        out = self.run_paper(experiment)
        self.assertEqual(list(rows(out)), ["dense", *names])
        alone = self.path(experiment + "-alone.out")
        job = lrp.job(MODEL, alone, BENCH, decompose={"method": "tucker", "dtype": "model"})
        job["evaluate"].update(tasks=TASKS, limit=12)
        for name, configuration in {"dense": {}, **listed}.items():
            job["configurations"] = [{"name": name, **configuration}]
            job["output"] = alone + "." + name
            self.complete(lrp.write_job(self.path("alone.yaml"), job), 1)
            self.assert_same(name, job["output"], out, TASKS)

    def test_rank(self):
        self.check("E1-rank", ["E1-n15-r0001", "E1-n15-r0250", "E1-n15-r0500"],
                   {"E1-n15-r0250": {"layers": "all", "rank": 4}})

    def test_layer(self):
        self.check("E2-layer", [f"E2-l{l:02}" for l in range(5)],
                   {"E2-l03": {"layers": 3, "rank": 1}})

    def test_tensor(self):
        tensors = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        self.check("E3-tensor",
                   [f"E3a-{t}" for t in tensors] + ["E3b-r09", "E3b-r21"] +
                   [f"E3c-{t}" for t in [*tensors, "all", "attention", "mlp"]],
                   {"E3a-up_proj": {"layers": "all", "tensors": "up_proj", "rank": 1},
                    "E3b-r09": {"layers": [0, 2, 3], "rank": 1},
                    "E3c-attention": {"layers": 0, "rank": 1,
                                      "tensors": ["q_proj", "k_proj", "v_proj", "o_proj"]}})

    def test_distance(self):
        self.check("E4-distance", ["E4-s06", "E4-s04", "E4-s02"],
                   {"E4-s04": {"layers": "0:2", "rank": 1}})

    def test_accuracy(self):
        self.check("E5-accuracy", ["E5-r06", "E5-r09", "E5-r15", "E5-r21", "E5-r33"],
                   {"E5-r15": {"layers": "0:3", "rank": 1}, "E5-r33": {"layers": "all", "rank": 1}})

    def test_efficiency(self):
        self.check("E6-efficiency", ["E6-r06", "E6-r09", "E6-r15", "E6-r21", "E6-r33"],
                   {"E6-r06": {"layers": [0, 4], "rank": 1}})


if __name__ == "__main__":
    lrp.main()
