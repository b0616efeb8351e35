"""tradeoff.json and .csv: what they say of scores, losses, tensors and sensitivity is what samples
and ledgers say."""

import math
import os
import unittest

import lrp

CONFIGURATIONS = [
    {"name": "mixed", "layers": [0, 2], "tensors": "all", "rank": 2},
    {"name": "unit", "layers": [1], "tensors": ["q_proj"], "rank": 1},
    {"name": "dense"},
    {"name": "layer", "layers": [2], "tensors": "mlp", "rank": 3},
    {"name": "tensor", "layers": [0, 1], "tensors": ["o_proj"], "rank": 2},
    {"name": "dense-again"},
]
PARTS = ["configurations", "evaluation", "tasks", "tensors", "sensitivity", "efficiency", "choice",
         "provenance"]
TASKS = ["arc_easy", "piqa"]


def mean(x):
    return math.fsum(x) / len(x)


def error(x):
    return math.sqrt(math.fsum((v - mean(x)) ** 2 for v in x) / (len(x) - 1) / len(x))


def loss(sample):
    """-ln of the share of the right choice."""
    ll = [float(answer[0]) for answer in sample["filtered_resps"]]
    return -math.log(math.exp(ll[int(sample["target"])]) / math.fsum(map(math.exp, ll)))


def documents(out, configuration):
    """Per task a list of (loss, acc)."""
    return [[(loss(s), s["acc"]) for s in lrp.samples(out, configuration, task)] for task in TASKS]


def score(tasks):
    """Mean and error of the tasks' means of the second numbers."""
    x = [[d[1] for d in docs] for docs in tasks]
    return mean([mean(v) for v in x]), math.sqrt(sum(error(v) ** 2 for v in x)) / len(x)


class Report(lrp.Case):
    MODEL = ("--hidden", 96, "--intermediate", 112, "--layers", 3, "--heads", 4, "--kv-heads", 2,
             "--vocab", 400, "--max-position", 256)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.out = os.path.join(cls.folder, "whole.out")
        job = lrp.write_job(os.path.join(cls.folder, "whole.yaml"),
                            lrp.job(cls.model, cls.out, cls.data, configurations=CONFIGURATIONS))
        cls.result = lrp.run([job], 2)
        assert cls.result.returncode == 0, cls.result.stderr
        cls.tradeoff = lrp.read_json(cls.out, "tradeoff.json")
        cls.rows = {row["configuration"]: row for row in cls.tradeoff["configurations"]}
        cls.documents = {name: documents(cls.out, name) for name in cls.rows}

    def near(self, a, b):
        self.assertAlmostEqual(a, b, delta=1e-12)

    def pair(self, of, key, value, stderr):
        self.near(of[key], value)
        self.near(of[key + "_stderr"], stderr)

    def test_parts(self):
        self.assertEqual(list(self.tradeoff), PARTS)
        self.assertEqual([row["configuration"] for row in self.tradeoff["configurations"]],
                         [c["name"] for c in CONFIGURATIONS])
        self.assertEqual(self.tradeoff["tasks"], [
            {"name": "arc_easy", "metric": "acc", "documents": 12, "chance": 0.25, "full": 1.0,
             "higher_is_better": True},
            {"name": "piqa", "metric": "acc", "documents": 12, "chance": 0.5, "full": 1.0,
             "higher_is_better": True}])
        self.assertIsNone(self.tradeoff["efficiency"])
        self.assertIsNone(self.tradeoff["choice"])

    def test_columns(self):
        head, *lines = lrp.read(self.out, "tradeoff.csv").splitlines()
        metrics = [f"{task}/{metric}{end}" for task in TASKS
                   for metric in ("acc", "acc_norm", "acc_bytes") for end in ("", "_stderr")]
        columns = ["configuration", "parameters", "parameters_dense", "reduction_percent", "bytes",
                   "flops_per_token", *metrics, "score", "score_stderr", "choice_loss",
                   "choice_loss_stderr", "pareto"]
        self.assertEqual(head.split(","), columns)
        self.assertEqual([list(row) for row in self.rows.values()], [columns] * len(self.rows))
        for line, row in zip(lines, self.rows.values()):
            self.assertEqual([float(x) for x in line.split(",")[1:]], list(row.values())[1:])

    def test_scores_and_losses(self):
        for name, row in self.rows.items():
            losses = [d[0] for docs in self.documents[name] for d in docs]
            self.pair(row, "choice_loss", mean(losses), error(losses))
            self.pair(row, "score", *score(self.documents[name]))

    def test_front(self):
        for row in self.rows.values():
            beaten = any(
                (other["parameters"] <= row["parameters"] and other["score"] > row["score"]) or
                (other["parameters"] < row["parameters"] and other["score"] >= row["score"])
                for other in self.rows.values())
            self.assertEqual(row["pareto"], int(not beaten), row["configuration"])

    def differences(self, name):
        """Per task a list of (increase of the loss, drop of acc)."""
        return [[(d[0] - base[0], base[1] - d[1]) for d, base in zip(docs, dense)]
                for docs, dense in zip(self.documents[name], self.documents["dense"])]

    def test_sensitivity(self):
        s = self.tradeoff["sensitivity"]
        self.assertEqual(s["measure"], "choice_loss")
        dense, base = s["dense"], self.documents["dense"]
        self.assertEqual((dense["configuration"], dense["documents"], dense["held_out_documents"]),
                         ("dense", 12, 12))
        self.near(dense["loss"], mean([d[0] for docs in base for d in docs[0::2]]))
        self.near(dense["held_out_loss"], mean([d[0] for docs in base for d in docs[1::2]]))
        self.assertEqual([c["configuration"] for c in s["configurations"]],
                         [name for name in self.rows if name != "dense"])
        for c in s["configurations"]:
            difference = self.differences(c["configuration"])
            for key, first in (("loss", 0), ("held_out_loss", 1)):
                half = [d[0] for docs in difference for d in docs[first::2]]
                self.pair(c, key, mean(half), error(half))
            odd = [docs[1::2] for docs in self.documents[c["configuration"]]]
            self.pair(c, "held_out_score", *score(odd))
            self.assertEqual(c["reduction_percent"],
                             self.rows[c["configuration"]]["reduction_percent"])
        self.assertEqual(s["configurations"][-1]["loss"], 0.0)  # dense again

    def test_shapes(self):
        s = self.tradeoff["sensitivity"]
        places = {"units": {"layer": 1, "tensor": "q_proj", "rank": 1, "configuration": "unit"},
                  "layers": {"layer": 2, "tensors": ["gate_proj", "up_proj", "down_proj"],
                             "ranks": [3, 3, 3], "configuration": "layer"},
                  "tensors": {"layers": [0, 1], "tensor": "o_proj", "ranks": [2, 2],
                              "configuration": "tensor"}}
        same = {c["configuration"]: c for c in s["configurations"]}
        for name, place in places.items():
            self.assertEqual(len(s[name]), 1, name)
            found = s[name][0]
            self.assertEqual({key: found[key] for key in place}, place)
            of = same[place["configuration"]]
            self.assertEqual((found["loss"], found["loss_stderr"]),
                             (of["loss"], of["loss_stderr"]))
            drop, stderr = score(self.differences(place["configuration"]))
            self.pair(found, "score_drop", 100 * drop, 100 * stderr)

    @unittest.skipUnless(lrp.have_h5py(), "needs h5py")
    def test_tensors(self):
        import h5py
        tensors = self.tradeoff["tensors"]
        lines = lrp.read(self.out, "tensors.csv").splitlines()[1:]
        self.assertEqual([t["tensor"] for t in tensors], [line.split(",")[0] for line in lines])
        with h5py.File(os.path.join(self.out, "factors.h5"), "r") as f:
            for t, line in zip(tensors, lines):
                cells = line.split(",")
                self.assertIn(f"layers.{t['layer']}.", t["tensor"])
                self.assertIn(f".{t['short']}.", t["tensor"])
                self.assertEqual([t["m"], t["n"], t["rank"]], [int(x) for x in cells[1:4]])
                self.assertEqual([t["method"], t["solver"]], [cells[4], cells[10]])
                self.assertEqual([t["relative_error"], t["orthogonality"]],
                                 [float(x) for x in cells[5:7]])
                s = f["spectrum"][t["tensor"]][:]
                points = [i for i, _ in t["spectrum"]]
                self.assertEqual([v for _, v in t["spectrum"]], [s[i - 1] for i in points])
                self.assertEqual((points[0], points[-1]), (1, min(t["m"], t["n"])))
                self.assertEqual(points, sorted(set(points)))
                if len(s) <= 64:
                    self.assertEqual(len(points), len(s))
                self.assertTrue(32 < len(points) <= 64, points)

    def test_printed_table(self):
        head, *lines = self.result.stdout.splitlines()
        self.assertEqual(head.split(), [
            "configuration", "parameters", "reduction_percent", "bytes", "flops_per_token",
            "arc_easy/acc", "piqa/acc", "score", "choice_loss", "pareto"])
        self.assertEqual(len(lines), len(self.rows) + 1)
        self.assertEqual([line.split()[0] for line in lines[:-1]], list(self.rows))

    def test_many_rows_are_not_printed(self):
        many = [{"name": f"{i}", "layers": [i % 3], "tensors": ["q_proj"], "rank": 1 + i // 3}
                for i in range(41)]
        job, out = self.job("many", configurations=many)
        lines = self.complete(job, 1, "--set", "evaluate.limit=2").stdout.splitlines()
        front = [row["configuration"] for row in
                 lrp.read_json(out, "tradeoff.json")["configurations"][12:] if row["pareto"]]
        self.assertEqual([line.split()[0] for line in lines[1:-2]],
                         [f"{i}" for i in range(12)] + front)
        self.assertEqual(lines[-2], f"and {29 - len(front)} more in tradeoff.csv, "
                         "none of them on the Pareto front")

    def test_any_process_ranks_and_order(self):
        job, out = self.job("ranks", configurations=CONFIGURATIONS)
        self.complete(job, 3)
        again = lrp.read_json(out, "tradeoff.json")
        for part in ("configurations", "tasks", "sensitivity"):
            self.assertEqual(again[part], self.tradeoff[part])
        job, out = self.job("order", configurations=CONFIGURATIONS[::-1][1:])
        self.complete(job, 1)
        other = lrp.read_json(out, "tradeoff.json")["sensitivity"]
        self.assertEqual(other["dense"], self.tradeoff["sensitivity"]["dense"])
        for part in ("units", "layers", "tensors"):
            self.assertEqual(other[part], self.tradeoff["sensitivity"][part])

    def test_without_what_it_takes(self):
        """No dense configuration; one document of each task; no tasks."""
        job, out = self.job("no-dense", configurations=CONFIGURATIONS[:2])
        self.complete(job, 1)
        tradeoff = lrp.read_json(out, "tradeoff.json")
        self.assertIsNone(tradeoff["sensitivity"])
        self.assertGreater(tradeoff["configurations"][0]["choice_loss"], 0)

        job, out = self.job("one", configurations=CONFIGURATIONS[1:3])
        self.complete(job, 1, "--set", "evaluate.limit=1")
        tradeoff = lrp.read_json(out, "tradeoff.json")
        row, = tradeoff["sensitivity"]["configurations"]
        self.assertIsInstance(row["loss"], float)
        for key in ("held_out_loss", "held_out_loss_stderr", "held_out_score"):
            self.assertIsNone(row[key], key)
        unit, = tradeoff["sensitivity"]["units"]
        self.assertIsNone(unit["score_drop_stderr"])
        self.assertIsNone(tradeoff["configurations"][0]["score_stderr"])

        content = lrp.job(self.model, self.path("sizes.out"), self.data)
        del content["evaluate"]
        self.complete(lrp.write_job(self.path("sizes.yaml"), content), 1)
        tradeoff = lrp.read_json(self.path("sizes.out"), "tradeoff.json")
        self.assertEqual(tradeoff["tasks"], [])
        self.assertIsNone(tradeoff["sensitivity"])
        self.assertEqual(len(tradeoff["tensors"]), 21)
        self.assertEqual(list(tradeoff["configurations"][0])[-1], "flops_per_token")

    def test_a_missing_page_is_made_again(self):
        job, out = self.job("page", configurations=CONFIGURATIONS[1:3])
        self.complete(job, 1)
        self.assertIn("already complete", self.complete(job, 1).stdout)
        os.remove(os.path.join(out, "report.html"))
        self.assertNotIn("already complete", self.complete(job, 1).stdout)
        self.assertTrue(os.path.getsize(os.path.join(out, "report.html")) > 0)


if __name__ == "__main__":
    lrp.main()
