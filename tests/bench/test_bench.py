"""The benchmark itself, on matrices that take no time: what it reports is checked against numpy
where that is there, and its goals are reached or missed on any machine."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

BENCH = os.environ["BENCH_DECOMPOSE"]
HERE = os.path.dirname(os.path.abspath(__file__))
folder = tempfile.TemporaryDirectory(prefix="lrpipe-bench-")


def run(*args, ranks=None):
    env = dict(os.environ, LRP_BENCH_DIR=folder.name)
    env.pop("LRP_BENCH_PYTHON", None)
    mpirun = [os.environ["MPIEXEC"], "--bind-to", "none", "-np", str(ranks)] if ranks else []
    return subprocess.run([*mpirun, BENCH, *args], env=env, timeout=240, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def results(*args, **more):
    result = run(*args, **more)
    if result.returncode != 0:
        raise AssertionError(f"exit code {result.returncode}:\n{result.stderr}")
    return {line["case"]: line for line in map(json.loads, result.stdout.splitlines())}


class Cases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lines = results("--case", "*-384x256-*", "--peers", "sgesdd", "--repeats", "2")

    def test_all_are_there(self):
        self.assertEqual(set(self.lines), {"llm-384x256-r64", "llm-384x256-r8",
                                           "outlier-384x256-r8", "gauss-384x256-r8"})

    def test_lines_are_complete(self):
        for line in self.lines.values():
            for key in ("m", "n", "rank", "spectrum", "dtype", "threads", "blas_kernel",
                        "processor", "method", "seconds", "certificate_seconds", "other_load",
                        "peers", "goal", "reached"):
                self.assertIn(key, line)
            self.assertEqual((line["m"], line["n"], line["dtype"]), (384, 256, "bfloat16"))
            self.assertGreater(line["certificate_seconds"], 0.0)

    def test_exact_methods_have_no_excess(self):
        """Small matrices are solved in double, and sgesdd is exact, too: whatever is wrong in the
        optimum, the check or the order of the factors shows here."""
        for line in self.lines.values():
            self.assertLess(abs(line["excess"]), 1e-7)
            self.assertLess(abs(line["peers"]["sgesdd"]["excess"]), 1e-6)
            for orthogonality in (line["orthogonality"], line["peers"]["sgesdd"]["orthogonality"]):
                self.assertGreater(orthogonality, 0.0)
                self.assertLess(orthogonality, 1e-5)

    def test_ratios(self):
        for line in self.lines.values():
            peer = line["peers"]["sgesdd"]
            self.assertAlmostEqual(peer["ratio"], line["seconds"] / peer["seconds"], delta=1e-4 *
                                   peer["ratio"])
            self.assertEqual(peer["repeats"], 2)
        self.assertIn("llm", self.lines["outlier-384x256-r8"]["peers"])

    def test_goals(self):
        self.assertIs(self.lines["llm-384x256-r64"]["reached"], True)
        self.assertIs(self.lines["llm-384x256-r64"]["stretch_reached"], False)
        self.assertIs(self.lines["llm-384x256-r8"]["reached"], False)
        self.assertIs(self.lines["outlier-384x256-r8"]["reached"], True)
        self.assertIs(self.lines["gauss-384x256-r8"]["reached"], None)

    @unittest.skipUnless(importlib.util.find_spec("numpy"), "needs numpy")
    def test_optimal_errors_are_those_of_numpy(self):
        import numpy
        for line in self.lines.values():
            name = f"{line['spectrum']}-384x256-1.bf16"
            bits = numpy.fromfile(os.path.join(folder.name, name), dtype=numpy.uint16)
            w = (bits.astype(numpy.uint32) << 16).view(numpy.float32).reshape(384, 256)
            s = numpy.linalg.svd(w.astype(numpy.float64), compute_uv=False)
            expected = numpy.sqrt((s[line["rank"]:] ** 2).sum() / (s ** 2).sum())
            self.assertAlmostEqual(line["optimal_error"], expected, delta=1e-5 * expected)


class Peers(unittest.TestCase):
    def test_without_peers(self):
        line = results("--case", "llm-384x256-r64", "--no-peers")["llm-384x256-r64"]
        self.assertEqual((line["peers"], line["reached"]), ({}, None))

    def test_torch_is_less_exact(self):
        """Where the distribution's Python has PyTorch; else that is said."""
        result = run("--case", "llm-384x256-r8", "--peers", "torch.svd_lowrank", "--repeats", "1")
        self.assertEqual(result.returncode, 0, result.stderr)
        line = json.loads(result.stdout)
        self.assertIn("skipped: another PyTorch", result.stderr)
        if "torch.svd_lowrank" in line["peers"]:
            peer = line["peers"]["torch.svd_lowrank"]
            self.assertEqual((peer["q"], peer["niter"]), (16, 2))
            self.assertGreater(peer["excess"], 1e-4)
            self.assertLess(peer["excess"], 1e-1)
            self.assertLess(peer["orthogonality"], 1e-4)
        else:
            self.assertIn("skipped: PyTorch of", result.stderr)


class Commands(unittest.TestCase):
    def test_missed_goals_are_an_exit_code(self):
        case = ("--peers", "sgesdd", "--repeats", "1", "--goals", "--case")
        self.assertEqual(run(*case, "llm-384x256-r64").returncode, 0)
        self.assertEqual(run(*case, "llm-384x256-r8").returncode, 1)

    def test_list(self):
        listed = run("--list").stdout
        for case in ("llm-4096x4096-r2048", "llm-11008x4096-r2048", "gauss-4096x4096-r128",
                     "outlier-4096x4096-r16"):
            self.assertIn(case, listed)
        self.assertNotIn("384x256", listed)

    def test_wrong_options(self):
        for args in (["--bogus"], ["--case"], ["--case", "none"], ["--repeats", "0"], ["more"]):
            result = run(*args)
            self.assertEqual(result.returncode, 2, args)
            self.assertEqual(result.stderr.count("lrpipe: error: "), 1, result.stderr)

    def test_grid(self):
        result = run("--grid-test", "--repeats", "1", ranks=2)
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([list(line["peers"]) for line in lines],
                         [["one process rank"], ["pdgesvd"]])
        for line in lines:
            self.assertLess(abs(line["excess"]), 1e-6)
            self.assertTrue(line["reached"])


class Table(unittest.TestCase):
    def test_has_a_row_for_each_case(self):
        contests = run("--case", "*-384x256-r8", "--peers", "sgesdd", "--repeats", "1").stdout
        grids = run("--grid-test", "--repeats", "1", ranks=2).stdout
        path = os.path.join(folder.name, "lines.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            f.write(contests + grids)
        rows = subprocess.run([sys.executable, os.path.join(HERE, "table.py"), path], check=True,
                              stdout=subprocess.PIPE, text=True).stdout.splitlines()
        for case in ("llm", "outlier", "gauss"):
            self.assertEqual(sum(f"| {case}-384x256-r8 |" in row for row in rows), 1)
        self.assertEqual(sum(row.startswith("| grid-") for row in rows), 2)


class WholeModel(unittest.TestCase):
    def test_small_shape(self):
        build = os.path.join(folder.name, "build")
        os.makedirs(os.path.join(build, "tests", "tools"))
        os.symlink(os.environ["LRPIPE_BINARY"], os.path.join(build, "lrpipe"))
        os.symlink(os.environ["SYNTH_MODEL"], os.path.join(build, "tests", "tools", "synth_model"))
        result = subprocess.run(
            [sys.executable, os.path.join(HERE, "whole_model.py"), build, "--no-calibration",
             "--large-rank", "32", "--hidden", "128", "--intermediate", "344", "--layers", "2",
             "--heads", "4", "--vocab", "512"],
            env=dict(os.environ, LRP_BENCH_DIR=os.path.join(folder.name, "model")), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240)
        self.assertEqual(result.returncode, 0, result.stderr)
        small, large = map(json.loads, result.stdout.splitlines())
        self.assertEqual((small["matrices"], small["rank"], small["ranks"]), (14, 16, 2))
        self.assertGreater(small["seconds"], 0.0)
        self.assertGreater(small["bytes"], 2 * 2 * (4 * 128 * 128 + 3 * 128 * 344))
        self.assertGreater(small["peak_bytes_per_rank"], 1 << 20)
        self.assertEqual((large["matrices"], large["rank"]), (7, 32))
        for key in ("decompose_seconds", "predicted_seconds", "balance"):
            self.assertIsInstance(large[key], float, result.stderr)


if __name__ == "__main__":
    try:
        unittest.main(verbosity=2)
    finally:
        folder.cleanup()
