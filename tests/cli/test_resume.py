"""Runs that are killed at any moment and started again end like an unbroken one."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
import unittest

import lrp

KILLS = int(os.environ.get("LRP_TEST_KILLS", "6"))


class Resume(lrp.Case):
    # Large enough that a run takes some seconds, so that kills hit every stage.
    MODEL = ("--hidden", 128, "--intermediate", 256, "--layers", 8, "--heads", 4, "--vocab", 400,
             "--max-position", 256)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lrp.write_data(cls.data, rows=60)

    def assert_same(self, a, b):
        self.assertEqual(lrp.scores(a), lrp.scores(b))
        if lrp.have_h5py():
            x, y = lrp.factors(a), lrp.factors(b)
            self.assertEqual(x.keys(), y.keys())
            for name in x:
                self.assertEqual(x[name].tobytes(), y[name].tobytes(), name)

    def test_killed_runs(self):
        job, unbroken = self.job("unbroken")
        start = time.monotonic()
        self.complete(job, 2)
        seconds = time.monotonic() - start
        draw = random.Random(int(os.environ.get("LRP_TEST_SEED", "1")))
        job, out = self.job("killed")
        killed = 0
        while killed < KILLS:
            if lrp.kill_run([job], draw.choice((1, 2, 3, 4)), draw.uniform(0.05, 1.2 * seconds)):
                killed += 1
            elif killed < KILLS:  # it came to its end: compare, begin anew
                self.assert_same(out, unbroken)
                shutil.rmtree(out)
        self.complete(job, draw.choice((1, 2, 3, 4)))
        self.assert_same(out, unbroken)
        result = self.complete(job, 2)
        self.assertIn("already complete", result.stdout)
        verified = lrp.run(["verify", out])
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def test_damage_is_found_and_redone(self):
        job, out = self.job("damaged")
        self.complete(job, 2)
        good = lrp.scores(out)
        path = os.path.join(out, "factors.h5")
        size = os.path.getsize(path)
        with open(path, "r+b") as f:  # the data of some unit: the middle of the file
            f.seek(size // 2)
            old = f.read(1)
            f.seek(size // 2)
            f.write(bytes([old[0] ^ 0x55]))
        verified = lrp.run(["verify", out])
        self.assertEqual(verified.returncode, 65, verified.stdout)
        result = self.complete(job, 3)
        self.assertNotIn("already complete", result.stdout)
        self.assertEqual(lrp.run(["verify", out]).returncode, 0)
        self.assertEqual(lrp.scores(out), good)

    def test_second_run_is_refused_while_the_first_lives(self):
        job, out = self.job("locked")
        lock = os.path.join(out, "lock")
        first = subprocess.Popen(lrp.command([job], 2), env=lrp.environment(),
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 start_new_session=True)
        try:
            while not os.path.exists(lock):
                self.assertIsNone(first.poll(), "the first run ended too early")
                time.sleep(0.001)
            ranks = lrp.descendants(first.pid)
            for pid in ranks:
                os.kill(pid, signal.SIGSTOP)
            second = lrp.run([job], 1)
            for pid in ranks:
                os.kill(pid, signal.SIGCONT)
            self.assertEqual(second.returncode, 73, second.stderr)
            self.assertEqual(len(lrp.errors(second)), 1, second.stderr)
            self.assertIn("process", lrp.errors(second)[0])
            self.assertEqual(first.wait(timeout=120), 0)
        finally:
            first.stdout.close()
            if first.poll() is None:
                os.killpg(first.pid, signal.SIGKILL)
        self.assertFalse(os.path.exists(lock), "released at the end")

    def test_a_job_that_adds_reuses(self):
        job, out = self.job("grows", configurations=[{"name": "dense"},
                                                     {"name": "r1", "layers": [1], "rank": 1}],
                            evaluate={"data": self.data, "tasks": ["piqa"]})
        self.complete(job, 2)
        first = lrp.digests(out)["factors.h5"]
        more = [{"name": "dense"}, {"name": "r1", "layers": [1], "rank": 1},
                {"name": "r5", "layers": "1:2", "rank": 5}]
        job, _ = self.job("grows", configurations=more)
        self.complete(job, 3)
        self.assertEqual(lrp.digests(out)["factors.h5"], first)
        self.assertTrue(os.path.exists(os.path.join(out, "factors.2.h5")))
        self.assertTrue(os.path.exists(os.path.join(out, "evaluation.2.h5")))
        job, fresh = self.job("fresh", configurations=more)
        self.complete(job, 1)
        self.assertEqual(lrp.scores(out), lrp.scores(fresh))
        status = lrp.run(["status", out])
        self.assertIn("complete", status.stdout)

    def test_a_job_that_changes_is_refused(self):
        job, out = self.job("changes")
        self.complete(job, 2)
        for change, code in ((["--set", "decompose.method=svd"], 78),
                             (["--set", "evaluate.limit=3"], 78),
                             (["--set", "evaluate.max_length=99"], 78),
                             (["--set", "configurations=[{name: r1, layers: [1], rank: 2}]"], 78)):
            result = lrp.run([job, *change], 2)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
        weights = os.path.join(self.model, "model.safetensors")
        with open(weights, "r+b") as f:
            f.seek(-2, os.SEEK_END)
            old = f.read(1)
            f.seek(-2, os.SEEK_END)
            f.write(bytes([old[0] ^ 1]))
        result = lrp.run([job], 2)
        with open(weights, "r+b") as f:
            f.seek(-2, os.SEEK_END)
            f.write(old)
        self.assertEqual(result.returncode, 65, result.stderr)
        self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
        config = os.path.join(self.model, "config.json")
        text = lrp.read(config)
        changed = json.loads(text)
        changed["rope_theta"] = 12345.0
        lrp.write_job(config, changed)
        result = lrp.run([job], 2)
        with open(config, "w", encoding="utf-8") as f:
            f.write(text)
        self.assertEqual(result.returncode, 65, result.stderr)
        self.assertIn("config.json", lrp.errors(result)[0])
        self.assertIn(lrp.errors(result)[0], lrp.read(out, "run.log"))
        self.assertIn("already complete", self.complete(job, 2).stdout)

    def test_scores_belong_to_their_factors(self):
        job, out = self.job("refactored")
        self.complete(job, 2)
        os.remove(os.path.join(out, "factors.h5"))
        result = lrp.run([job, "--set", "decompose.dtype=bfloat16"], 2)
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertIn("decompose.dtype", lrp.errors(result)[0])

    def test_the_report_is_of_the_job(self):
        none = {"data": None, "tasks": []}
        job, out = self.job("report", evaluate=none, configurations=[
            {"name": "x", "layers": "all", "rank": 8}])
        self.complete(job, 2)
        job, out = self.job("report", evaluate=none, configurations=[
            {"name": "x", "layers": "all", "rank": 4}, {"name": "y", "layers": [1], "rank": 2}])
        self.complete(job, 2)
        rows = lrp.read_json(out, "tradeoff.json")["configurations"]
        self.assertEqual([r["configuration"] for r in rows], ["x", "y"])
        job, fresh = self.job("report-fresh", evaluate=none, configurations=[
            {"name": "x", "layers": "all", "rank": 4}, {"name": "y", "layers": [1], "rank": 2}])
        self.complete(job, 1)
        self.assertEqual(lrp.read(out, "tradeoff.csv"), lrp.read(fresh, "tradeoff.csv"))

    def test_a_growing_job_killed_in_its_report(self):
        job, fresh = self.job("grown-fresh")
        self.complete(job, 2)
        few = lrp.JOB["configurations"][:2]
        job, out = self.job("grown", configurations=few)
        self.complete(job, 2)
        old = {name: lrp.read(out, name) for name in ("tradeoff.csv", "tradeoff.json")}
        job, out = self.job("grown")
        self.complete(job, 2)
        for name, text in old.items():  # killed after the samples, before the tables
            with open(os.path.join(out, name), "w", encoding="utf-8") as f:
                f.write(text)
        self.complete(job, 2)
        self.assertEqual(lrp.scores(out), lrp.scores(fresh))


if __name__ == "__main__":
    lrp.main()
