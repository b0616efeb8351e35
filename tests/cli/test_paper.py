"""Sweeps, and the paper's experiments: results are those of separate runs of each configuration."""

import csv
import json
import os
import tempfile
import unittest

import lrp

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.join(lrp.SHARED, "data", "models", "stories260K")
BENCH = os.path.join(lrp.SHARED, "data", "bench")
TASKS = ("arc_easy", "winogrande")

# E6 measures; here it is enough that it does, in little time.
LITTLE = ("--set", "measure.batch_size=1", "--set", "measure.sequence_length=8",
          "--set", "measure.repeats=1")


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
        del mine["configuration"]
        mine.pop("pareto", None)  # depends on the others
        self.assertEqual(mine, {key: theirs[key] for key in mine})
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

    def check(self, experiment, names, listed, *more):
        """Names behind dense, and the same as separate runs of these configurations."""
        out = self.run_paper(experiment, *more)
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
                   {"E6-r06": {"layers": [0, 4], "rank": 1}}, *LITTLE)


class Demo(lrp.Case):
    """jobs/paper on the demo model, 16 layers and 64 wide: every configuration is the same as in a
    run of its own, and its layers and ranks are those that the lists below come to by hand."""

    DEMO = os.path.join(ROOT, "jobs", "demo")
    MODEL, DATA = os.path.join(DEMO, "model"), os.path.join(DEMO, "data")
    TASKS = ("arc_easy", "openbookqa", "arc_challenge")
    LIMIT = os.environ.get("LRP_TEST_QUESTIONS", "16")  # of each grade; null: all
    ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
    MLP = ["gate_proj", "up_proj", "down_proj"]
    E5 = {"r06": [2, 29], "r09": [2, 17, 31], "r15": [2, 8, 14, 20, 26],
          "r21": [4, 8, 12, 16, 20, 24, 28], "r33": [2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 31],
          "r48": range(0, 31, 2), "r60": [1, 3, 5, 7, *range(9, 19), *range(20, 31, 2)],
          "r75": [1, 3, 5, 7, *range(9, 30)], "r84": [0, 2, 4, 6, *range(8, 32)],
          "r96": range(32)}

    assert_same = Sweeps.assert_same

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="lrpipe-test-")

    @staticmethod
    def scaled(layers):
        """Those of the 16 that are nearest to these of the 32, by trying all; none is half way."""
        return sorted({min(range(16), key=lambda l: abs(l / 15 - x / 31)) for x in layers})

    @staticmethod
    def rank(rank):
        return max(1, round(rank * 64 / 4096))

    def points(self, listed):
        """Names -> layers, tensors and rank, and the names of those that are there before."""
        kept, dropped = {}, {}
        for name, (layers, tensors, rank) in listed.items():
            point = {"layers": layers, "tensors": tensors, "rank": rank}
            before = [other for other, same in kept.items() if same == point]
            if before:
                dropped[name] = before[0]
            else:
                kept[name] = point
        return kept, dropped

    def check(self, experiment, listed, *more):
        kept, dropped = self.points(listed)
        out = self.path(experiment + ".out")
        settings = {"model": self.MODEL, "output": out, "evaluate.data": self.DATA,
                    "evaluate.tasks": f"[{', '.join(self.TASKS)}]", "evaluate.limit": self.LIMIT}
        changes = [word for item in settings.items() for word in ("--set", "%s=%s" % item)]
        job = os.path.join(ROOT, "jobs", "paper", experiment + ".yaml")
        result = self.complete(job, 2, *changes, *more)
        self.assertEqual(list(rows(out)), ["dense", *kept])
        for name, before in dropped.items():
            self.assertIn(f"'{name}' has the ranks of '{before}' and is left out", result.stderr)
        self.assertEqual(result.stderr.count("is left out"), len(dropped), result.stderr)

        job = lrp.job(self.MODEL, None, self.DATA,
                      decompose={"method": "tucker", "dtype": "model"})
        job["evaluate"].update(tasks=self.TASKS, limit=json.loads(self.LIMIT))
        for name, point in {"dense": {}, **kept}.items():
            job["configurations"] = [{"name": name, **point}]
            job["output"] = self.path(f"{experiment}.{name}.out")
            self.complete(lrp.write_job(self.path("alone.yaml"), job), None)
            self.assert_same(name, job["output"], out, self.TASKS)

    def test_shows_what_it_is_for(self):
        """jobs/demo.yaml: three grades, a curve that falls, and what is harder falls first."""
        out = self.path("demo.out")
        self.complete(os.path.join(self.DEMO, "..", "demo.yaml"), 2, "--set", "sweep=[]",
                      "--set", f"model={self.MODEL}", "--set", f"evaluate.data={self.DATA}",
                      "--set", f"output={out}")
        score = {name: [float(row[f"{task}/acc"]) for task in self.TASKS]
                 for name, row in rows(out).items()}
        mean = {name: sum(s) / 3 for name, s in score.items()}
        lost = {name: [(dense - x) / (dense - 0.25) for dense, x in zip(score["dense"], s)]
                for name, s in score.items()}
        for least, dense in zip((0.9, 0.8, 0.6), score["dense"]):
            self.assertGreater(dense, least)
        self.assertLessEqual(int(rows(out)["dense"]["parameters"]), 10**6)
        order = ["dense", "r06", "r09", "r15", "r21", "r33"]
        for before, after in zip(order, order[1:]):
            self.assertLess(mean[after], mean[before], after)
        self.assertGreater(mean["r21"], mean["dense"] - 0.05)
        self.assertLess(mean["r33"], mean["dense"] - 0.1)
        for name in order[3:]:
            easy, medium, hard = lost[name]
            self.assertLess(easy, medium, name)
            self.assertLess(medium, hard, name)
        for name in ("r75", "r96"):  # guessing
            self.assertAlmostEqual(mean[name], 0.25, delta=0.04)

    def test_rank(self):
        layers = {"n15": range(3, 32, 2), "n10": range(3, 31, 3), "n06": range(3, 29, 5)}
        self.assertEqual([self.rank(r) for r in (1, 250, 500)], [1, 4, 8])
        self.check("E1-rank", {f"E1-{n}-r{r:04}": (self.scaled(x), "all", self.rank(r))
                               for n, x in layers.items() for r in (1, 250, 500)})

    def test_layer(self):
        self.check("E2-layer", {f"E2-l{l:02}": ([l], "all", 1) for l in range(16)})

    def test_tensor(self):
        each = self.ATTENTION + self.MLP
        every, one = list(range(16)), self.scaled([3])
        sets = {"all": "all", "attention": self.ATTENTION, "mlp": self.MLP}
        self.check("E3-tensor", {
            **{f"E3a-{t}": (every, [t], 1) for t in each},
            "E3b-r09": (self.scaled([3, 15, 27]), "all", 1),
            "E3b-r21": (self.scaled([3, 7, 11, 15, 21, 25, 29]), "all", 1),
            **{f"E3c-{t}": (one, [t], 1) for t in each},
            **{f"E3c-{name}": (one, tensors, 1) for name, tensors in sets.items()}})

    def test_distance(self):
        self.check("E4-distance", {f"E4-s{s:02}": (self.scaled(range(2, 3 + 4 * s, s)), "all", 1)
                                   for s in (6, 5, 4, 3, 2, 1)})

    def test_accuracy(self):
        self.check("E5-accuracy",
                   {f"E5-{n}": (self.scaled(x), "all", 1) for n, x in self.E5.items()})

    def test_efficiency(self):
        self.check("E6-efficiency",
                   {f"E6-{n}": (self.scaled(x), "all", 1) for n, x in self.E5.items()}, *LITTLE)


if __name__ == "__main__":
    lrp.main()
