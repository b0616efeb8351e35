"""lrpipe choose: the same proposal however it is run, evaluated once, and what it refuses."""

import os
import shutil
import unittest

import lrp

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEMO = os.path.join(ROOT, "jobs", "demo")


class Choose(lrp.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model, cls.data = os.path.join(DEMO, "model"), os.path.join(DEMO, "data")
        cls.map, cls.map_job = os.path.join(cls.folder, "map.out"), None

    EVALUATE = {"tasks": ["arc_easy", "openbookqa"], "limit": 24, "dtype": "float32"}
    SWEEP = [{"name": "layer", "each": "layer", "layers": [2, 12, 13], "ranks": 1},
             {"name": "unit", "each": "unit", "layers": 8, "ranks": [1, 4]}]

    def finished(self, name):
        """A copy of an output with single layers and the units of another one measured."""
        if not os.path.exists(self.map):
            self.job("map", configurations=[{"name": "dense"}], sweep=self.SWEEP,
                     evaluate={"data": self.data, **self.EVALUATE})
            self.complete(self.path("map.yaml"), 2)
        out = self.path(name)
        shutil.copytree(self.map, out)
        return out

    def choose(self, out, reduction, ranks=None, code=0, *args):
        result = lrp.run(["choose", out, "--reduction", reduction, *args], ranks)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def rows(self, out):
        choice = lrp.read_json(out, "tradeoff.json")["choice"]
        return {row["kind"]: row for row in choice["rows"]}

    def test_process_ranks(self):
        outs = [self.finished(f"np{ranks}") for ranks in (1, 2)]
        for ranks, out in zip((1, 2), outs):
            said = self.choose(out, "9%", ranks).stdout
            self.assertIn("chosen for 9 % by sensitivity", said)
            self.assertRegex(said, "Held out, .* the paper's list r06")
        for name in ("choice.json", "tradeoff.csv"):
            self.assertEqual(lrp.read(outs[0], name), lrp.read(outs[1], name))
        self.assertEqual(lrp.scores(outs[0]), lrp.scores(outs[1]))
        rows = self.rows(outs[0])
        self.assertGreaterEqual(rows["chosen"]["reduction_percent"], 9.0)
        self.assertEqual(rows["paper"]["configuration"], "paper-r06")
        for row in rows.values():
            self.assertIsNotNone(row["held_out_loss"])
            self.assertIn(row["configuration"], lrp.read(outs[0], "tradeoff.csv"))

    def test_decided_by_losses(self):
        """Of several candidates, the one that lost least on documents of even index."""
        out = self.finished("decided")
        proposed = self.choose(out, "9%", 2).stdout
        all_of_it = lrp.read_json(out, "tradeoff.json")
        losses = {row["configuration"]: row["loss"]
                  for row in all_of_it["sensitivity"]["configurations"]}
        choices = all_of_it["choice"]["choices"]
        self.assertEqual([choice["kind"] for choice in choices], ["chosen", "chosen at its size"])
        self.assertIn("candidate-09.00-s1o0", choices[0]["candidates"])
        self.assertTrue(any(name.endswith("-s2o0") for name in choices[0]["candidates"]))
        for choice in choices:
            self.assertIn("paper-r06", choice["candidates"])
            self.assertEqual(len(set(choice["candidates"])), len(choice["candidates"]))
        rows = self.rows(out)
        best = min(choices[0]["candidates"], key=losses.get)
        self.assertEqual(rows["chosen"]["configuration"], best)
        self.assertEqual(rows["chosen"]["loss"], losses[best])
        shown = {row["configuration"] for row in all_of_it["choice"]["rows"]}
        self.assertEqual(shown, {name for choice in choices for name in choice["candidates"]})
        for name in shown:
            self.assertIn(f"\n{name} ", proposed)

    def test_as_listed_by_hand(self):
        """choice.yaml is a job: run by itself it gives the same."""
        out = self.finished("listed")
        self.choose(out, "8.5", 2)
        alone = self.path("alone")
        result = lrp.run([os.path.join(out, "choice.yaml"), "--set", f"output={alone}"], 2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(lrp.scores(out), lrp.scores(alone))

    def test_again(self):
        out = self.finished("again")
        first = self.choose(out, "9", 2).stdout
        before, choice = lrp.digests(out), lrp.read(out, "choice.json")
        second = self.choose(out, "9%").stdout
        self.assertIn("already complete", second)
        self.assertEqual(first[first.index("chosen for"):], second[second.index("chosen for"):])
        self.assertEqual((lrp.digests(out), lrp.read(out, "choice.json")), (before, choice))

    def test_what_the_job_has(self):
        """Nothing new to evaluate, but the report shows the choice."""
        out = self.finished("has")
        self.choose(out, "9")
        names = {row["configuration"] for row in self.rows(out).values()}
        scores = lrp.scores(out)
        self.choose(out, "9.0001")
        choice = lrp.read_json(out, "tradeoff.json")["choice"]
        self.assertEqual(choice["target_percent"], 9.0001)
        self.assertEqual({row["configuration"] for row in self.rows(out).values()}, names)
        self.assertEqual(lrp.scores(out), scores)

    def test_first_job_again(self):
        out = self.finished("first")
        self.choose(out, "9", 2)
        stored = {k: v for k, v in lrp.digests(out).items() if k.endswith(".h5")}
        scores = lrp.scores(out)
        result = lrp.run([self.path("map.yaml"), "--set", f"output={out}"], 2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIsNone(lrp.read_json(out, "tradeoff.json")["choice"])
        self.choose(out, "9")
        self.assertEqual(lrp.scores(out), scores)
        self.assertEqual({k: v for k, v in lrp.digests(out).items() if k.endswith(".h5")}, stored)

    def test_stopped_and_killed(self):
        whole = self.finished("whole")
        self.choose(whole, "9")
        stopped = self.finished("stopped")
        with open(os.path.join(stopped, "STOP"), "w", encoding="utf-8"):
            pass
        self.choose(stopped, "9", 2, 75)
        self.choose(stopped, "9", 1)
        self.assertEqual(lrp.scores(stopped), lrp.scores(whole))
        killed = self.finished("killed")
        for after_s in (0.2, 0.4, 0.6, 0.8):
            lrp.kill_run(["choose", killed, "--reduction", "9"], 2, after_s)
        self.choose(killed, "9", 2)
        self.assertEqual(lrp.scores(killed), lrp.scores(whole))
        self.assertEqual(lrp.read(killed, "choice.json"), lrp.read(whole, "choice.json"))

    def test_unreachable(self):
        out = self.finished("unreachable")
        error, = lrp.errors(self.choose(out, "40%", 2, 78))
        self.assertRegex(error, r"--reduction 40%: what .* can save 2\d\.\d\d % at most")
        self.assertFalse(os.path.exists(os.path.join(out, "choice.json")))

    def test_by_errors(self):
        """Without losses of single layers, by errors of what is decomposed."""
        job, out = self.job("errors", configurations=[
            {"name": "some", "layers": [4, 5, 6], "tensors": "all", "rank": 1}])
        content = lrp.read_json(job)
        del content["evaluate"]
        lrp.write_job(job, content)
        self.complete(job, 1)
        said = self.choose(out, "9", 2).stdout
        self.assertIn("chosen for 9 % by error", said)
        self.assertIn("was not measured", said)
        choice = lrp.read_json(out, "tradeoff.json")["choice"]
        self.assertEqual(choice["method"], "error")
        self.assertTrue(all(row["predicted_loss"] is None for row in choice["rows"]))
        self.assertIn("already complete", self.choose(out, "9", 1).stdout)

    def test_refused(self):
        out = self.path("nothing")
        error, = lrp.errors(self.choose(out, "9", 2, 66))
        self.assertIn("run the job first", error)
        self.assertFalse(os.path.exists(out))
        for reduction in ("5:10", "0", "100", "9%%", "-1", "nine", "1e9", "nan", "0x9"):
            error, = lrp.errors(self.choose(out, reduction, None, 2))
            self.assertIn("--reduction", error)
        result = lrp.run(["choose", out])
        self.assertEqual(result.returncode, 2)
        out = self.finished("unfinished")
        os.remove(os.path.join(out, "tradeoff.json"))
        error, = lrp.errors(self.choose(out, "9", 1, 66))
        self.assertIn("run the job first", error)


if __name__ == "__main__":
    lrp.main()
