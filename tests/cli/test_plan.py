"""lrpipe plan predicts by the speeds that are known; a run compares; results do not depend on it."""

import json
import os
import re
import unittest

import lrp

STAGES = ("gesdd krylov gram_bfloat16 gram_float32 eigenvalues eigenvectors finish look read write "
          "commit").split()


class Plan(lrp.Case):
    def calibration(self, name, speed, processor="a processor", **more):
        """A file with an entry whose stages all have that speed."""
        entry = {"processor": processor, "blas_kernel": "kernel", "threads": 1, "process_ranks": 2,
                 "speeds": {stage: [speed, speed] for stage in STAGES}, **more}
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"format": 1, "entries": [entry]}, f)
        return {"LRPIPE_CALIBRATION": path}

    def plan(self, *args, env=None):
        job, _ = self.job("plan")
        env = env or {"LRPIPE_CALIBRATION": self.path("absent.json")}
        result = lrp.run(["plan", job, *args], env=env)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("LRPIPE_CALIBRATION", result.stderr)
        return result.stdout

    def seconds(self, text):
        return float(re.search(r"^decompose +about ([0-9.]+) s", text, re.MULTILINE)[1])

    def test_guess(self):
        text = self.plan("--ranks", "8", "--nodes", "3", "--threads", "2")
        self.assertIn("8 process ranks on 3 nodes, 2 threads each", text)
        self.assertRegex(text, r"speeds +guessed, .*lrpipe doctor --calibrate")
        self.assertIn("1 process rank on 1 node, 1 thread each", self.plan())

    def test_measured(self):
        slow, fast = self.calibration("slow.json", 1e3), self.calibration("fast.json", 2e3)
        options = ("--ranks", "2", "--threads", "1")
        text = self.plan(*options, env=slow)
        self.assertIn("measured on another processor, a processor (kernel), 2 process ranks of 1 "
                      "thread per node", text)
        self.assertNotIn("scaled", text)
        self.assertAlmostEqual(self.seconds(text), 2 * self.seconds(self.plan(*options, env=fast)),
                               delta=0.2)
        more = self.plan("--ranks", "2", "--threads", "4", env=slow)
        self.assertIn("scaled to 2 of 4", more)
        self.assertGreater(self.seconds(text), 3 * self.seconds(more))

    def test_damaged_calibration_is_said(self):
        path = self.path("damaged.json")
        with open(path, "w", encoding="utf-8") as f:
            f.write("{")
        job, _ = self.job("plan")
        result = lrp.run(["plan", job], env={"LRPIPE_CALIBRATION": path})
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr.count("lrpipe: warning:"), 1, result.stderr)
        self.assertIn(path, result.stderr)
        self.assertIn("guessed", result.stdout)

    def run_with(self, name, env):
        job, out = self.job(name, evaluate={"data": self.data, "tasks": []})
        self.complete(job, env=env)
        return out

    def test_run_compares(self):
        out = self.run_with("slow", self.calibration("slow.json", 1e6))
        line = re.search(r"decompose: 21 units in ([0-9.]+) s, predicted ([0-9.]+) s; slowest process "
                         r"rank ([0-9.]+) s, mean ([0-9.]+) s, balance ([0-9.]+)$",
                         lrp.read(out, "run.log"), re.MULTILINE)
        wall, predicted, slowest, mean, balance = map(float, line.groups())
        self.assertLessEqual(mean, slowest)
        self.assertLessEqual(slowest, wall + 0.1)
        self.assertGreaterEqual(balance, 1.0)
        header, *rows = [r.split(",") for r in lrp.read(out, "tensors.csv").splitlines()]
        column = header.index("predicted_seconds")
        # Two process ranks share them: the plan's longest is at least half of the sum.
        self.assertGreaterEqual(predicted + 0.1, sum(float(r[column]) for r in rows) / 2)
        self.assertEqual(len(rows), 21)

    @unittest.skipUnless(lrp.have_h5py(), "needs h5py")
    def test_factors_do_not_depend_on_it(self):
        one = lrp.factors(self.run_with("guess", {"LRPIPE_CALIBRATION": self.path("absent.json")}))
        other = lrp.factors(self.run_with("odd", self.calibration("odd.json", 7.0, threads=9)))
        self.assertEqual(one.keys(), other.keys())
        for name in one:
            self.assertEqual(one[name].tobytes(), other[name].tobytes(), name)
        self.assertFalse(os.path.exists(self.path("absent.json")))


if __name__ == "__main__":
    lrp.main()
