"""Measured efficiency: files and columns, going on after a kill, changed jobs, sleeping process
ranks. Nothing is said of how long anything takes, but that it takes some time."""

import csv
import json
import os
import signal
import time
import unittest

import lrp

COLUMNS = ("configuration reduction_percent batch_size sequence_length phase seconds seconds_low "
           "seconds_high tokens_per_second joules joules_low joules_high flops bytes "
           "resident_weight_bytes peak_memory_bytes").split()
MEASURE = {"batch_size": 2, "sequence_length": [8, 16], "new_tokens": 3, "repeats": 2}
# Linear maps that are large enough to be packed, in a model that is quick all the same.
LARGE = ("--hidden", 320, "--intermediate", 512, "--layers", 3, "--heads", 5, "--kv-heads", 5,
         "--vocab", 400, "--max-position", 64)
HAS_ENERGY = os.path.exists("/sys/class/powercap/intel-rapl:0/energy_uj")


def rows(out):
    with open(os.path.join(out, "efficiency.csv"), encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def samples(out):
    """{(configuration, batch, length): {phase: seconds}}, as they are stored."""
    return {(e["configuration"], e["batch_size"], e["sequence_length"]):
            {p: e[p]["seconds"] for p in ("prefill", "decode")}
            for e in lrp.read_json(out, "measurements.json")["measurements"]}


class Measure(lrp.Case):
    def job(self, name, measure=None, **changes):
        model = changes.pop("model", self.model)
        changes.setdefault("evaluate", {})
        job, out = super().job(name, measure=MEASURE if measure is None else measure, **changes)
        return lrp.write_job(job, {**lrp.read_json(job), "model": model}), out

    def check(self, out, configurations=3, cases=2, repeats=2, phases=("prefill", "decode")):
        """Everything is there and fits together."""
        table = rows(out)
        self.assertEqual(list(table[0]), COLUMNS)
        self.assertEqual(len(table), configurations * cases * len(phases))
        for row in table:
            self.assertIn(row["phase"], phases)
            low, middle, high = (float(row[c]) for c in ("seconds_low", "seconds", "seconds_high"))
            self.assertTrue(0.0 < low <= middle <= high)
            self.assertEqual(row["joules"] == "", not HAS_ENERGY)
            for column in ("flops", "bytes", "resident_weight_bytes", "peak_memory_bytes"):
                self.assertGreater(float(row[column]), 0)
            self.assertGreaterEqual(int(row["peak_memory_bytes"]),
                                    int(row["resident_weight_bytes"]))
            tokens = int(row["batch_size"])
            if row["phase"] == "prefill":
                tokens *= int(row["sequence_length"])
            self.assertAlmostEqual(float(row["tokens_per_second"]) / (tokens / middle), 1.0, 6)
        stored = samples(out)
        self.assertEqual(len(stored), configurations * cases)
        for phase_seconds in stored.values():
            for phase in phases:
                self.assertEqual(len(phase_seconds[phase]), repeats)
        return table

    def test_files(self):
        job, out = self.job("files")
        result = self.complete(job, 1)
        self.assertNotIn("ignored", result.stderr)
        table = self.check(out)
        report = lrp.read_json(out, "tradeoff.json")
        efficiency = report["efficiency"]
        device = efficiency["device"]
        self.assertEqual(device["threads"], 1)
        self.assertEqual(device["dtype"], "float32")
        self.assertEqual(device["energy"] is None, not HAS_ENERGY)
        if not HAS_ENERGY:
            self.assertTrue(device["energy_reason"])
        self.assertEqual((efficiency["repeats"], efficiency["new_tokens"]), (2, 3))
        self.assertIn("%", efficiency["interval"])
        self.assertEqual(efficiency["cases"], [{"batch_size": 2, "sequence_length": 8},
                                               {"batch_size": 2, "sequence_length": 16}])
        self.assertEqual(len(efficiency["rows"]), 6)
        for row in efficiency["rows"]:
            for phase in ("prefill", "decode"):
                line, = (r for r in table if r["configuration"] == row["configuration"]
                         and r["sequence_length"] == str(row["sequence_length"])
                         and r["phase"] == phase)
                self.assertAlmostEqual(float(line["seconds"]) / row[phase]["seconds"], 1.0, 6)
        self.slopes(efficiency)
        self.columns(out, report)
        self.assertEqual(lrp.read_json(out, "progress.json")["state"], "complete")

    def slopes(self, efficiency):
        """Savings against the dense model, through the origin."""
        first = [r for r in efficiency["rows"] if r["sequence_length"] == 8]
        x = [r["reduction_percent"] for r in first]
        y = [100 * (1 - r["prefill"]["seconds"] / first[0]["prefill"]["seconds"]) for r in first]
        expected = sum(a * b for a, b in zip(x, y)) / sum(a * a for a in x)
        slope, = (s for s in efficiency["slopes"]
                  if s["sequence_length"] == 8 and s["quantity"] == "prefill_seconds")
        self.assertAlmostEqual(slope["percent_per_percent"], expected, 6)
        self.assertEqual(slope["n"], 2)
        quantities = {s["quantity"] for s in efficiency["slopes"]}
        self.assertTrue({"decode_seconds", "resident_weight_bytes",
                         "peak_memory_bytes"} <= quantities)
        self.assertEqual("prefill_joules" in quantities, HAS_ENERGY)

    def columns(self, out, report):
        """Of the first case, in the table of configurations, too."""
        first = {r["configuration"]: r for r in report["efficiency"]["rows"]
                 if r["sequence_length"] == 8}
        for row in report["configurations"]:
            of_case = first[row["configuration"]]
            self.assertEqual(row["prefill_seconds"], of_case["prefill"]["seconds"])
            self.assertEqual(row["decode_seconds"], of_case["decode"]["seconds"])
            self.assertEqual(row["prefill_joules"], of_case["prefill"]["joules"])
            self.assertEqual(row["resident_weight_bytes"], of_case["resident_weight_bytes"])
            self.assertEqual(row["peak_memory_bytes"], of_case["peak_memory_bytes"])
        self.assertIn("prefill_seconds", lrp.read(out, "tradeoff.csv").splitlines()[0])

    def test_complete_and_changed(self):
        job, out = self.job("changed")
        self.complete(job, 1)
        before = lrp.read(out, "measurements.json"), lrp.read(out, "tradeoff.json")
        self.assertIn("already complete", self.complete(job, 1).stdout)
        self.assertEqual((lrp.read(out, "measurements.json"), lrp.read(out, "tradeoff.json")),
                         before)
        os.remove(os.path.join(out, "efficiency.csv"))
        self.assertNotIn("already complete", self.complete(job, 1).stdout)
        self.check(out)
        self.assertEqual(lrp.read(out, "measurements.json"), before[0])

        first = samples(out)
        self.complete(job, 1, "--set", "measure.repeats=4")  # adds two
        self.check(out, repeats=4)
        for key, seconds in samples(out).items():
            for phase in ("prefill", "decode"):
                self.assertEqual(seconds[phase][:2], first[key][phase])
        self.complete(job, 1, "--set", "measure.batch_size=[2, 3]", "--set", "measure.repeats=1")
        self.assertEqual(len(samples(out)), 3 * 4)
        self.assertEqual(len(rows(out)), 3 * 4 * 2)

        without = json.loads(lrp.read(job))
        del without["measure"]
        lrp.write_job(job, without)
        self.assertNotIn("already complete", self.complete(job, 1).stdout)
        self.assertIsNone(lrp.read_json(out, "tradeoff.json")["efficiency"])
        self.assertNotIn("prefill_seconds", lrp.read(out, "tradeoff.csv"))
        self.assertFalse(os.path.exists(os.path.join(out, "efficiency.csv")))
        self.assertTrue(os.path.exists(os.path.join(out, "measurements.json")))

    def test_other_threads(self):
        """What is complete stays; new samples do not stand beside those of another machine."""
        job, out = self.job("threads")
        self.complete(job, 1)
        first = samples(out)
        two = {"OMP_NUM_THREADS": "2"}
        self.assertIn("already complete", self.complete(job, 1, env=two).stdout)
        self.assertEqual(samples(out), first)
        result = self.complete(job, 1, "--set", "measure.repeats=3", env=two)
        self.assertIn("measured anew: threads: 2, before 1", result.stderr)
        self.check(out, repeats=3)
        for key, seconds in samples(out).items():
            self.assertNotEqual(seconds["prefill"], first[key]["prefill"])

    def test_sleeping_process_ranks(self):
        job, out = self.job("np2")
        result = self.complete(job, 2)
        self.assertIn("one process rank per node", result.stderr)
        self.check(out)

    def test_killed(self):
        """After a kill in the middle the same command goes on with what was written."""
        job, out = self.job("killed", {"batch_size": 2, "sequence_length": 8, "new_tokens": 2,
                                       "repeats": 120})
        stored = os.path.join(out, "measurements.json")
        process = lrp.subprocess.Popen(lrp.command([job], 2), env=lrp.environment(),
                                       stdout=lrp.subprocess.DEVNULL,
                                       stderr=lrp.subprocess.DEVNULL, start_new_session=True)
        while not os.path.exists(stored):
            self.assertIsNone(process.poll(), "ended too early")
            time.sleep(0.01)
        for pid in [process.pid, *lrp.descendants(process.pid)]:
            os.kill(pid, signal.SIGKILL)
        process.wait()
        first = samples(out)
        taken = sum(len(p) for e in first.values() for p in e.values())
        self.assertTrue(0 < taken < 3 * 2 * 120)
        repeats = max(len(e["prefill"]) for e in first.values()) + 1
        self.complete(job, 1, "--set", f"measure.repeats={repeats}")
        self.check(out, cases=1, repeats=repeats)
        for key, seconds in first.items():
            for phase in ("prefill", "decode"):
                self.assertEqual(samples(out)[key][phase][:len(seconds[phase])], seconds[phase])

    def test_stopped(self):
        """A time limit ends between samples with 75; the file STOP and a signal do likewise."""
        job, out = self.job("stopped", {"batch_size": 2, "sequence_length": 8, "new_tokens": 2,
                                        "repeats": 1000})
        result = lrp.run([job, "--max-time", "4"], 2)
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertIn("time limit", result.stderr)
        self.assertEqual(lrp.read_json(out, "progress.json")["stage"], "measure")
        taken = sum(len(p) for e in samples(out).values() for p in e.values())
        self.assertGreater(taken, 0)
        self.complete(job, 2, "--set", "measure.repeats=2")
        self.assertGreaterEqual(sum(len(p) for e in samples(out).values() for p in e.values()),
                                taken)
        self.assertIn("state      complete", lrp.run(["status", out]).stdout)
        self.assertEqual(lrp.run([job, "--max-time", "2"], 2).returncode, 75)
        self.assertIn("state      incomplete", lrp.run(["status", out]).stdout)

    def test_signal_to_a_sleeper(self):
        """USR2 may come to a process rank that only waits."""
        job, out = self.job("signal", {"batch_size": 2, "sequence_length": 8, "new_tokens": 2,
                                       "repeats": 1000})
        process = lrp.subprocess.Popen(lrp.command([job], 2), env=lrp.environment(),
                                       stdout=lrp.subprocess.DEVNULL, stderr=lrp.subprocess.PIPE,
                                       text=True, start_new_session=True)
        progress = os.path.join(out, "progress.json")
        while not (os.path.exists(progress) and lrp.read_json(progress)["stage"] == "measure"):
            self.assertIsNone(process.poll(), "ended too early")
            time.sleep(0.05)
        measures = lrp.read_json(progress)["pid"]  # of process rank 0
        sleeper, = (p for p in lrp.descendants(process.pid) if p != measures)
        os.kill(sleeper, signal.SIGUSR2)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, errors)
        self.assertEqual(lrp.read_json(out, "progress.json")["stopped_by"], "signal")

    def test_smaller_is_less(self):
        """Fewer bytes are held, and fewer bytes and operations needed, the smaller the model."""
        model = lrp.synth_model(self.path("large"), *LARGE)
        job, out = self.job("smaller", {"batch_size": 2, "sequence_length": 8, "new_tokens": 2,
                                        "repeats": 1},
                            model=model, configurations=[
                                {"name": "r96", "layers": "all", "tensors": "all", "rank": 1},
                                {"name": "r33", "layers": [1], "tensors": "all", "rank": 1},
                                {"name": "dense"}])
        self.complete(job, 1)
        table = {(r["configuration"], r["phase"]): r for r in self.check(out, cases=1, repeats=1)}
        for phase in ("prefill", "decode"):
            for column in ("resident_weight_bytes", "bytes", "flops"):
                small, middle, dense = (float(table[name, phase][column])
                                        for name in ("r96", "r33", "dense"))
                self.assertTrue(small < middle < dense, column)
        order = [e["configuration"] for e in lrp.read_json(out, "tradeoff.json")["configurations"]]
        self.assertEqual(order, ["r96", "r33", "dense"])

    def test_no_dense(self):
        job, out = self.job("no-dense", configurations=[
            {"name": "r1", "layers": [1], "tensors": "all", "rank": 1}])
        self.complete(job, 1)
        self.check(out, configurations=1)
        self.assertEqual(lrp.read_json(out, "tradeoff.json")["efficiency"]["slopes"], [])

    def test_no_decoding(self):
        job, out = self.job("prefill", {**MEASURE, "new_tokens": 0})
        self.complete(job, 1)
        self.check(out, phases=("prefill",))
        efficiency = lrp.read_json(out, "tradeoff.json")["efficiency"]
        self.assertTrue(all(row["decode"] is None for row in efficiency["rows"]))

    def test_encoder(self):
        model = lrp.synth_model(self.path("bert"), "--arch", "bert", "--hidden", 32, "--intermediate",
                                48, "--layers", 3, "--heads", 4, "--max-position", 64)
        job, out = self.job("bert", {**MEASURE, "sequence_length": [8, 64]}, model=model)
        self.complete(job, 1)
        self.check(out, phases=("prefill",))
        row = lrp.read_json(out, "tradeoff.json")["configurations"][0]
        self.assertIsNone(row["decode_seconds"])
        self.assertGreater(row["prefill_seconds"], 0)

    def test_with_evaluation(self):
        job, out = self.job("scores", evaluate={"data": self.data, "tasks": ["arc_easy"]})
        self.complete(job, 2)
        self.check(out)
        header = lrp.read(out, "tradeoff.csv").splitlines()[0].split(",")
        self.assertLess(header.index("arc_easy/acc"), header.index("prefill_seconds"))

    def test_too_long(self):
        job, _ = self.job("long", {**MEASURE, "sequence_length": [8, 257]})
        for args in ([job], ["plan", job]):
            result = lrp.run(args, None)
            self.assertEqual(result.returncode, 78)
            error, = lrp.errors(result)
            self.assertIn("measure.sequence_length: 257: ", error)
            self.assertIn("256", error)
        self.complete(job, 1, "--set", "measure.sequence_length=256", "--set",
                      "measure.repeats=1", "--set", "configurations=[{name: dense}]")

    def test_too_large(self):
        job, _ = self.job("huge", {"batch_size": 1000000, "sequence_length": 200, "repeats": 1})
        result = lrp.run([job], 1)
        self.assertEqual(result.returncode, 71, result.stderr)
        error, = lrp.errors(result)
        self.assertIn("measure.batch_size", error)

    def test_plan_says_it(self):
        job, _ = self.job("plan")
        result = lrp.run(["plan", job])
        self.assertRegex(result.stdout, 
                         r"\nmeasure +3 configurations, 2 cases, 2 samples each of prefill and "
                         r"decoding\n")


if __name__ == "__main__":
    lrp.main()
