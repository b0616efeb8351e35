"""Scores and factors of a real model against what an independent program computed (float64)."""

import math
import os
import re
import unittest

import lrp

GOLDEN = os.path.join(lrp.SHARED, "data", "golden")
MODEL = os.path.join(lrp.SHARED, "data", "models", "stories260K")
BENCH = os.path.join(lrp.SHARED, "data", "bench")
FAST = ["arc_easy", "arc_challenge", "hellaswag", "winogrande", "piqa"]
TASKS = FAST + ["mmlu_abstract_algebra", "mmlu_high_school_biology", "mmlu_professional_law",
                "truthfulqa_mc1", "truthfulqa_mc2", "token_perplexity"]
CONFIGURATIONS = [
    {"name": "dense"},
    {"name": "l1.3_r1", "layers": [1, 3], "tensors": "all", "rank": 1},
    {"name": "all_r16", "layers": "all", "tensors": "all", "rank": 16},
]


SHOTS = {"arc_easy": 2, "winogrande": 2, "mmlu_abstract_algebra": 5, "mmlu_high_school_biology": 5,
         "mmlu_professional_law": 5}


def golden_file(task, configuration, shots=0):
    return lrp.read_json(GOLDEN, f"stories260K.{task}.{shots}shot.{configuration}.json")


def run_job(folder, method, tasks, limit):
    out = os.path.join(folder, "out")
    job = {"model": MODEL, "output": out, "decompose": {"method": method},
           "configurations": CONFIGURATIONS,
           "evaluate": {"data": BENCH, "tasks": tasks, "limit": limit}}
    return out, lrp.run([lrp.write_job(os.path.join(folder, "job.yaml"), job)], 2, timeout=800)


def compare(case, out, task, configuration, limit, shots=0):
    """All log-likelihoods of a task: how many are within 1e-5, and how many there are.

    2e-4, but a window of 511 tokens scores down to -5000, where single precision itself is coarser:
    1.5e-7 of the value, little more than its last bit."""
    close, n = 0, 0
    golden = golden_file(task, configuration, shots)["samples"][:limit]
    samples = lrp.samples(out, configuration, task)
    case.assertEqual(len(samples), len(golden))
    for mine, theirs in zip(samples, golden):
        case.assertEqual(mine["doc_id"], theirs["doc_id"])
        answers = mine.get("windows", mine["filtered_resps"])
        for r, g in zip(answers, theirs.get("windows", theirs.get("requests")), strict=True):
            d = abs(float(r[0]) - g["ll"])
            case.assertEqual(r[1], str(g["greedy"]))
            case.assertLess(d, max(2e-4, 1.5e-7 * abs(g["ll"])), (task, configuration, mine["doc_id"]))
            close, n = close + (d <= 1e-5), n + 1
    return close, n


@unittest.skipUnless(os.path.isdir(GOLDEN), "needs the golden results, which are not part of a clone")
class Golden(unittest.TestCase):
    method = "tucker"
    tasks = {task: 0 for task in TASKS}

    @classmethod
    def setUpClass(cls):
        cls.folder = lrp.tempfile.mkdtemp(prefix="lrpipe-golden-")
        tasks = [{"name": t, "num_fewshot": k} if k else t for t, k in cls.tasks.items()]
        cls.out, cls.result = run_job(cls.folder, cls.method, tasks, 40)

    @classmethod
    def tearDownClass(cls):
        lrp.shutil.rmtree(cls.folder, ignore_errors=True)

    def test_exit_code(self):
        self.assertEqual(self.result.returncode, 0, self.result.stderr)

    def test_loglikelihoods(self):
        close, n = 0, 0
        for c in CONFIGURATIONS:
            for task, shots in self.tasks.items():
                a, b = compare(self, self.out, task, c["name"], 40, shots)
                close, n = close + a, n + b
        print(f"{close} of {n} within 1e-5")
        self.assertGreater(n, 1000)
        self.assertGreater(close, n / 2)

    def test_metrics(self):
        for c in CONFIGURATIONS:
            results = lrp.read_json(self.out, c["name"], "results.json")["results"]
            for task, shots in self.tasks.items():
                for name, value in golden_file(task, c["name"], shots)["metrics"].items():
                    exact = name.startswith("acc") and task != "truthfulqa_mc2"
                    self.assertTrue(
                        math.isclose(results[task][name + ",none"], value,
                                     rel_tol=1e-12 if exact else 1e-6), (task, c["name"], name))

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
    tasks = {task: 0 for task in FAST}


class GoldenShots(Golden):
    tasks = SHOTS

    def test_shots(self):
        shots = lrp.read_json(self.out, "dense", "results.json")["n-shot"]
        self.assertEqual(shots, SHOTS)


@unittest.skipUnless(os.path.isdir(GOLDEN), "needs the golden results, which are not part of a clone")
class GoldenText(unittest.TestCase):
    """The first pages of wikitext, window by window."""

    PAGES = 3

    def test_windows_and_perplexities(self):
        folder = lrp.tempfile.mkdtemp(prefix="lrpipe-golden-")
        self.addCleanup(lrp.shutil.rmtree, folder, ignore_errors=True)
        out, result = run_job(folder, "tucker", ["wikitext"], self.PAGES)
        self.assertEqual(result.returncode, 0, result.stderr)
        for c in CONFIGURATIONS:
            _, n = compare(self, out, "wikitext", c["name"], self.PAGES)
            self.assertEqual(n, 7 + 29 + 15)
            results = lrp.read_json(out, c["name"], "results.json")["results"]["wikitext"]
            pages = [s["metrics"] for s in golden_file("wikitext", c["name"])["samples"]]
            nll = -sum(p["loglikelihood"] for p in pages[:self.PAGES])
            words, size = (sum(p[k] for p in pages[:self.PAGES]) for k in ("words", "bytes"))
            for name, value in (("word_perplexity", math.exp(nll / words)),
                                ("byte_perplexity", math.exp(nll / size)),
                                ("bits_per_byte", nll / size / math.log(2))):
                self.assertTrue(math.isclose(results[name + ",none"], value, rel_tol=2e-6), name)
                self.assertEqual(results[name + "_stderr,none"], "N/A")


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
