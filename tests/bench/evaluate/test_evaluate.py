"""The benchmarks of evaluations themselves, on models that take no time: what they report is
checked against what it is made of, and their goals are reached or missed on any machine."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

BENCH = os.environ["BENCH_EVALUATE"]
SYNTH_MODEL = os.environ["SYNTH_MODEL"]
HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS, HIDDEN, FFN, KV, VOCAB, LAYERS = 512, 128, 344, 64, 512, 2
folder = tempfile.TemporaryDirectory(prefix="lrpipe-bench-")


def run(*args):
    env = {k: v for k, v in os.environ.items() if k != "LRP_BENCH_PYTHON"}
    return subprocess.run([BENCH, *args], env=env, timeout=240, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)


def results(*args):
    result = run(*args)
    if result.returncode != 0:
        raise AssertionError(f"exit code {result.returncode}:\n{result.stderr}")
    return {line["case"]: line for line in map(json.loads, result.stdout.splitlines())}


def flops(rows, rank=0, head=True, all_layers=False):
    """Counted anew: matrices by their sizes."""
    def linear(n_in, n_out):
        r = min(rank, n_in, n_out)
        return 2 * r * (n_in + n_out) if rank else 2 * n_in * n_out
    kv = 2 * linear(HIDDEN, KV)
    rest = 2 * linear(HIDDEN, HIDDEN) + 2 * linear(HIDDEN, FFN) + linear(FFN, HIDDEN)
    pairs = sum(range(1, TOKENS + 1))
    last = TOKENS if all_layers else rows
    last_pairs = TOKENS if last == 1 else pairs
    return (LAYERS * TOKENS * kv + (LAYERS - 1) * (TOKENS * rest + 4 * HIDDEN * pairs) +
            last * rest + 4 * HIDDEN * last_pairs + (rows * 2 * HIDDEN * VOCAB if head else 0))


class Passes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lines = results("--case", "tiny-*", "--no-peers", "--repeats", "3")

    def test_all_are_there(self):
        self.assertEqual(set(self.lines), {"tiny-bf16", "tiny-f32-head", "tiny-f32-head-d4",
                                           "tiny-f32-layers"})

    def test_work_and_time_make_the_rates(self):
        work = {"tiny-bf16": flops(1), "tiny-f32-head": flops(TOKENS),
                "tiny-f32-head-d4": flops(TOKENS, HIDDEN // 4),
                "tiny-f32-layers": flops(1, head=False, all_layers=True)}
        for name, line in self.lines.items():
            self.assertGreater(line["seconds"], 0.0)
            self.assertLessEqual(line["best_seconds"], line["seconds"])
            self.assertEqual((line["repeats"], line["tokens"], line["peers"]), (3, TOKENS, {}))
            self.assertAlmostEqual(line["tokens_per_s"] * line["seconds"] / TOKENS, 1.0, delta=1e-4)
            self.assertAlmostEqual(1e9 * line["gflops"] * line["seconds"] / work[name], 1.0,
                                   delta=1e-4)
            if line["peak_gflops"] is not None:
                self.assertAlmostEqual(line["share"] * line["peak_gflops"] / line["gflops"], 1.0,
                                       delta=1e-4)

    def test_nothing_is_faster_than_the_peak(self):
        for line in self.lines.values():
            if line["peak_gflops"] is not None:
                self.assertLess(line["share"], 1.5)

    def test_goals(self):
        if self.lines["tiny-bf16"]["peak_gflops"] is not None:
            self.assertIs(self.lines["tiny-bf16"]["reached"], False)
            self.assertIs(self.lines["tiny-f32-head"]["reached"], True)
        self.assertIs(self.lines["tiny-f32-head-d4"]["reached"], True)
        self.assertIs(self.lines["tiny-f32-layers"]["reached"], None)

    def test_factors_are_compared_with_dense(self):
        dense, factors = self.lines["tiny-f32-head"], self.lines["tiny-f32-head-d4"]
        self.assertEqual((dense["of_dense"], factors["rank"]), (None, HIDDEN // 4))
        self.assertAlmostEqual(factors["of_dense"] * factors["seconds"] / dense["seconds"], 1.0,
                               delta=1e-4)
        self.assertIsNone(self.lines["tiny-f32-layers"]["of_dense"])

    def test_without_dense_it_is_not_judged(self):
        line = results("--case", "tiny-f32-head-d4", "--no-peers", "--repeats", "1")
        self.assertEqual((line["tiny-f32-head-d4"]["of_dense"],
                          line["tiny-f32-head-d4"]["reached"]), (None, None))


class Peers(unittest.TestCase):
    def test_torch(self):
        """Where the distribution's Python has PyTorch; else that is said."""
        result = run("--case", "tiny-f32-head*", "--peers", "torch", "--repeats", "1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("skipped: another PyTorch", result.stderr)
        for line in map(json.loads, result.stdout.splitlines()):
            if "torch" not in line["peers"]:
                self.assertIn("skipped: PyTorch of", result.stderr)
                continue
            peer = line["peers"]["torch"]
            self.assertAlmostEqual(peer["ratio"] * peer["lrpipe_seconds"] / peer["seconds"], 1.0,
                                   delta=1e-4)
            self.assertEqual(line["of_torch"], peer["ratio"])

    def test_absent_python(self):
        env = dict(os.environ, LRP_BENCH_PYTHON="/nonexistent/python")
        result = subprocess.run([BENCH, "--case", "tiny-f32-layers", "--peers", "current*",
                                 "--repeats", "1"], env=env, text=True, timeout=240,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("/nonexistent/python", result.stderr)
        self.assertEqual(json.loads(result.stdout)["peers"], {})


class Commands(unittest.TestCase):
    def test_missed_goals_are_an_exit_code(self):
        case = ("--no-peers", "--repeats", "1", "--goals", "--case")
        lines = results("--case", "tiny-bf16", "--no-peers", "--repeats", "1")
        missed = lines["tiny-bf16"]["reached"] is False
        self.assertEqual(run(*case, "tiny-bf16").returncode, int(missed))
        self.assertEqual(run(*case, "tiny-f32-layers").returncode, 0)

    def test_list(self):
        listed = run("--list").stdout
        for case in ("110m-bf16-head", "1.1b-bf16-d4", "1.1b-f32", "7b4-bf16-layers-d8"):
            self.assertIn(case, listed)
        self.assertNotIn("tiny", listed)

    def test_wrong_options(self):
        for args in (["--bogus"], ["--case"], ["--case", "none", "--no-peers"],
                     ["--repeats", "0"], ["--repeats", ""], ["more"]):
            result = run(*args)
            self.assertEqual(result.returncode, 2, args)
            self.assertEqual(result.stderr.count("lrpipe: error: "), 1, result.stderr)


def write_rows(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows)


def write_data(where):
    """Rows of our own making, and models in the places of real ones."""
    mmlu = [{"question": f"Which of {i} and {i + 1} is even?", "subject": "anatomy",
             "choices": [str(i), str(i + 1), "both", "none"], "answer": i % 2} for i in range(9)]
    write_rows(os.path.join(where, "bench", "mmlu", "dev.jsonl"), mmlu[:5])
    write_rows(os.path.join(where, "bench", "mmlu", "test.jsonl"), mmlu[5:])
    arc = [{"id": str(i), "question": f"What is {i} and {i}?", "answerKey": "A",
            "choices": {"text": [str(2 * i), str(i), "none"], "label": ["A", "B", "C"]}}
           for i in range(6)]
    write_rows(os.path.join(where, "bench", "ai2_arc", "ARC-Easy", "test.jsonl"), arc)
    model = os.path.join(where, "models", "stories260K")
    os.makedirs(os.path.dirname(model))
    subprocess.run([SYNTH_MODEL, model, "--vocab", "400"], check=True, stdout=subprocess.DEVNULL)
    os.makedirs(os.path.join(where, "tokenizers"))
    shutil.copytree(model, os.path.join(where, "tokenizers", "llama2"))


class WholeEvaluations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = os.path.join(folder.name, "data")
        write_data(cls.data)
        cls.build = os.path.join(folder.name, "build")
        os.makedirs(os.path.join(cls.build, "tests", "tools"))
        os.symlink(os.environ["LRPIPE_BINARY"], os.path.join(cls.build, "lrpipe"))
        os.symlink(SYNTH_MODEL, os.path.join(cls.build, "tests", "tools", "synth_model"))

    def script(self, *args):
        result = subprocess.run(
            [sys.executable, os.path.join(HERE, "whole_evaluation.py"), self.build, "--small",
             "--vocab", "400", "--subject", "anatomy", "--questions", "4", "--separate", "1",
             *args], env=dict(os.environ, LRP_BENCH_DIR=os.path.join(folder.name, "work")),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [json.loads(line) for line in result.stdout.splitlines()], result.stderr

    def test_cases(self):
        (mmlu, sweep, arc), _ = self.script("--data", self.data)
        self.assertEqual((mmlu["case"], sweep["case"], arc["case"]), ("mmlu", "sweep", "arc"))
        self.assertGreater(mmlu["products_ratio"], 4.0)  # four choices are one pass
        self.assertEqual(mmlu["products_ratio"], mmlu["alone_products"] / mmlu["products"])
        self.assertLess(sweep["products_ratio"], 0.6)
        self.assertGreaterEqual(sweep["products_ratio"], 0.5)
        self.assertEqual((arc["questions"], arc["ranks"]), (6, 2))
        self.assertIs(arc["reached"], True)
        self.print_tables([mmlu, sweep, arc])

    def print_tables(self, evaluations):
        passes = run("--case", "tiny-f32-head*", "--no-peers", "--repeats", "1").stdout
        path = os.path.join(folder.name, "lines.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            f.write(passes + "".join(json.dumps(line) + "\n" for line in evaluations))
        rows = subprocess.run([sys.executable, os.path.join(HERE, "..", "table.py"), path],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        for case in ("tiny-f32-head", "tiny-f32-head-d4", "mmlu", "sweep", "arc"):
            self.assertEqual(sum(row.startswith(f"| {case} |") for row in rows), 1, rows)

    def test_without_data(self):
        lines, errors = self.script("--data", os.path.join(folder.name, "nothing"))
        self.assertEqual((lines, errors.count("skipped: ")), ([], 3))


if __name__ == "__main__":
    try:
        unittest.main(verbosity=2)
    finally:
        folder.cleanup()
