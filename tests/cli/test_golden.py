"""Scores and factors of a real model against what an independent program computed (float64)."""

import math
import os
import re
import unittest

import lrp

GOLDEN = os.path.join(lrp.SHARED, "data", "golden")
MODEL = os.path.join(lrp.SHARED, "data", "models", "stories260K")
BENCH = os.path.join(lrp.SHARED, "data", "bench")
TASKS = ["arc_easy", "arc_challenge", "hellaswag", "winogrande", "piqa"]
CONFIGURATIONS = [
    {"name": "dense"},
    {"name": "l1.3_r1", "layers": [1, 3], "tensors": "all", "rank": 1},
    {"name": "all_r16", "layers": "all", "tensors": "all", "rank": 16},
]


@unittest.skipUnless(os.path.isdir(GOLDEN), "needs the golden results, which are not part of a clone")
class Golden(unittest.TestCase):
    method = "tucker"

    @classmethod
    def setUpClass(cls):
        cls.folder = lrp.tempfile.mkdtemp(prefix="lrpipe-golden-")
        cls.out = os.path.join(cls.folder, "out")
        job = {"model": MODEL, "output": cls.out, "decompose": {"method": cls.method},
               "configurations": CONFIGURATIONS,
               "evaluate": {"data": BENCH, "tasks": TASKS, "limit": 40}}
        path = lrp.write_job(os.path.join(cls.folder, "job.yaml"), job)
        cls.result = lrp.run([path], 2)

    @classmethod
    def tearDownClass(cls):
        lrp.shutil.rmtree(cls.folder, ignore_errors=True)

    def test_exit_code(self):
        self.assertEqual(self.result.returncode, 0, self.result.stderr)

    def test_loglikelihoods(self):
        worst, close, n = 0.0, 0, 0
        for c in CONFIGURATIONS:
            for task in TASKS:
                golden = lrp.read_json(GOLDEN, f"stories260K.{task}.0shot.{c['name']}.json")
                samples = lrp.samples(self.out, c["name"], task)
                self.assertEqual(len(samples), len(golden["samples"]))
                for mine, theirs in zip(samples, golden["samples"]):
                    self.assertEqual(mine["doc_id"], theirs["doc_id"])
                    for r, g in zip(mine["filtered_resps"], theirs["requests"], strict=True):
                        d = abs(float(r[0]) - g["ll"])
                        self.assertEqual(r[1], str(g["greedy"]))
                        worst, close, n = max(worst, d), close + (d <= 1e-5), n + 1
        print(f"largest difference {worst:.2e}; {close} of {n} within 1e-5")
        self.assertGreater(n, 1000)
        self.assertLess(worst, 2e-4)
        self.assertGreater(close, n / 2)

    def test_metrics(self):
        for c in CONFIGURATIONS:
            results = lrp.read_json(self.out, c["name"], "results.json")["results"]
            for task in TASKS:
                golden = lrp.read_json(GOLDEN, f"stories260K.{task}.0shot.{c['name']}.json")
                for name, value in golden["metrics"].items():
                    self.assertTrue(math.isclose(results[task][name + ",none"], value, rel_tol=1e-12),
                                    (task, c["name"], name))

    def test_relative_errors_and_reduction(self):
        rows = [r.split(",") for r in lrp.read(self.out, "tensors.csv").splitlines()]
        errors = {r[0]: (int(r[3]), float(r[5])) for r in rows[1:]}
        golden = lrp.read_json(GOLDEN, "stories260K.all_r16.decomposition.json")
        for t in golden["tensors"]:
            rank, error = errors[t["tensor"]]
            self.assertEqual(rank, 16)
            self.assertLess(abs(error - t["rel_error"]), 1e-6, t["tensor"])
        tradeoff = lrp.read_json(self.out, "tradeoff.json")["configurations"]
        for row in tradeoff[1:]:
            if self.method == "tucker":
                name = f"stories260K.{row['configuration']}.decomposition.json"
                golden = lrp.read_json(GOLDEN, name)
                self.assertEqual(row["parameters"], golden["params_after"])
                self.assertLess(abs(row["reduction_percent"] - golden["reduction_percent"]), 1e-9)

    @unittest.skipUnless(lrp.have_h5py(), "needs h5py")
    def test_singular_values_and_reconstruction(self):
        import h5py
        import numpy as np
        golden = lrp.read_json(GOLDEN, "stories260K.singular_values.json")
        rows = [r.split(",") for r in lrp.read(self.out, "tensors.csv").splitlines()]
        errors = {r[0]: float(r[5]) for r in rows[1:]}
        weights = read_safetensors(os.path.join(MODEL, "model.safetensors"))
        with h5py.File(os.path.join(self.out, "factors.h5"), "r") as f:
            for name, expected in golden.items():
                s = f["spectrum"][name][()]
                np.testing.assert_allclose(s, expected["singular_values"], rtol=1e-5)
                parts = {k: v[()].astype(np.float64) for k, v in f["factors"][name].items()}
                if self.method == "tucker":
                    product = parts["u1"] @ parts["core"] @ parts["u2"]
                else:
                    product = parts["u"] * parts["s"] @ parts["vt"]
                w = weights[name].astype(np.float64)
                error = np.linalg.norm(w - product) / np.linalg.norm(w)
                self.assertLess(abs(error - errors[name]), 1e-9, name)


class GoldenSvd(Golden):
    method = "svd"


def read_safetensors(path):
    import json
    import numpy as np
    with open(path, "rb") as f:
        data = f.read()
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + n])
    result = {}
    for name, t in header.items():
        if name != "__metadata__" and re.fullmatch("F32", t["dtype"]):
            a, b = t["data_offsets"]
            result[name] = np.frombuffer(data[8 + n + a:8 + n + b], "<f4").reshape(t["shape"])
    return result


if __name__ == "__main__":
    lrp.main()
