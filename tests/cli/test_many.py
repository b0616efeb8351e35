"""Many configurations in one job (jobs/demo-1000.yaml): killed in the middle and continued by
another number of process ranks, it ends like an unbroken run.

LRP_TEST_MANY=999 takes as many configurations as the job does, and asks all questions.
"""

import os
import re
import subprocess
import tempfile
import time
import unittest

import lrp

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEMO = os.path.join(ROOT, "jobs", "demo")
MANY = int(os.environ.get("LRP_TEST_MANY", "60"))
QUESTIONS = "null" if MANY > 500 else 120  # of each grade


def blocks(text):
    """(done, planned) blocks of an evaluation, as `lrpipe status` says."""
    found = re.search(r"^evaluation (\d+) of (\d+) blocks", text, re.MULTILINE)
    return tuple(map(int, found.groups())) if found else (0, 0)


class Many(lrp.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="lrpipe-test-")
        text = lrp.read(ROOT, "jobs", "demo-1000.yaml")
        cls.job = os.path.join(cls.folder, "many.yaml")
        with open(cls.job, "w", encoding="utf-8") as f:
            f.write(re.sub(r"samples: \d+", f"samples: {MANY}", text))

    def arguments(self, out):
        settings = {"model": os.path.join(DEMO, "model"), "output": out,
                    "evaluate.data": os.path.join(DEMO, "data"), "evaluate.limit": QUESTIONS,
                    "evaluate.log_samples": "false" if MANY > 500 else "true"}
        return [self.job] + [word for item in settings.items()
                             for word in ("--set", "%s=%s" % item)]

    def run_whole(self, out, ranks):
        result = lrp.run(self.arguments(out), ranks, timeout=850)
        self.assertEqual(result.returncode, 0, result.stderr)

    def kill_in_the_middle(self, out, ranks):
        """(done, planned) blocks after a kill, which comes when a third is seen to be done."""
        process = subprocess.Popen(lrp.command(self.arguments(out), ranks), env=lrp.environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        try:
            done, planned = 0, 0
            while process.poll() is None and 3 * done <= planned:
                time.sleep(0.1)
                done, planned = blocks(lrp.run(["status", out]).stdout)
        finally:
            lrp.kill_all(process)
        return blocks(lrp.run(["status", out]).stdout)

    def test_killed_and_continued(self):
        unbroken, out = self.path("unbroken.out"), self.path("killed.out")
        self.run_whole(unbroken, 2)
        done, planned = self.kill_in_the_middle(out, 2)
        self.assertGreater(done, planned / 3)
        self.assertLess(done, planned)
        self.run_whole(out, 3)
        log = lrp.read(out, "run.log")
        self.assertIn(f"evaluate: {planned - done} of {planned} blocks to do", log)
        rows = lrp.read(out, "tradeoff.csv").splitlines()
        self.assertEqual(len({row.partition(",")[0] for row in rows}), 1 + 1 + MANY)
        self.assertEqual(len(rows), 1 + 1 + MANY)
        self.assertEqual(lrp.scores(out), lrp.scores(unbroken))
        self.assertEqual(lrp.run(["verify", out]).returncode, 0)


if __name__ == "__main__":
    lrp.main()
