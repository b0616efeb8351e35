"""Faults on purpose: running lrpipe_faulty (wrap.c), and what must be true after every fault."""

import concurrent.futures
import errno
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import lrp  # noqa: E402

FAULTY = os.environ["FAULTY_BINARY"]
EVERY = os.environ.get("LRP_TEST_FAULTS") == "all"

# Functions in which a failing call changes nothing: a lock that stays is that of a dead process.
HARMLESS = {"drop"}

# A fault that stays unnoticed would leave process ranks waiting for each other.
TIMEOUT_S = 60


class Fault:
    """The nth call of these kinds, on one process rank. See wrap.c."""

    def __init__(self, points, nth=0, action="fail", error=errno.EIO, rank=0, lasting=False):
        self.points, self.nth, self.rank = points, nth, rank
        self.action, self.error, self.lasting = action, error, lasting

    def __str__(self):
        error = "" if self.action != "fail" else " " + errno.errorcode[self.error]
        return f"{self.action}{error} at {self.points} {self.nth} of process rank {self.rank}"

    def environment(self, under):
        return {"FAULT_POINT": self.points, "FAULT_NTH": str(self.nth), "FAULT_UNDER": under,
                "FAULT_ACTION": self.action, "FAULT_ERRNO": str(self.error),
                "FAULT_LASTING": str(int(self.lasting)), "FAULT_RANK": str(self.rank)}


def run(args, ranks, env):
    """lrpipe_faulty args; a run that hangs is ended and has the exit code None."""
    command = [FAULTY if word == lrp.LRPIPE else word for word in lrp.command(args, ranks)]
    process = subprocess.Popen(command, env=lrp.environment(env), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        for pid in [*lrp.descendants(process.pid), process.pid]:
            os.kill(pid, signal.SIGKILL)
        out, err = process.communicate()
        return subprocess.CompletedProcess(command, None, out, err + "\n(it hung)")
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def places(line):
    """The functions of a line of wrap.c, innermost first."""
    if line is None:
        return "which did not come"
    found = subprocess.run(["addr2line", "-f", "-s", "-e", FAULTY, *line.split()[2:]], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    names = found.stdout.splitlines()[::2]
    return " < ".join(names) if names else line


def sample(items, most):
    """At most that many of them, evenly; all if the environment asks for it."""
    if EVERY or len(items) <= most:
        return items
    return [items[i * len(items) // most] for i in range(most)]


class Case(lrp.Case):
    """A small study, its right results, and a run for every fault."""

    MODEL = ("--hidden", 32, "--intermediate", 48, "--layers", 2, "--heads", 4, "--kv-heads", 2,
             "--vocab", 400, "--max-position", 256)
    ROWS = 4

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = os.path.realpath(cls.folder)
        lrp.write_data(cls.data, rows=cls.ROWS)
        cls.expected = None

    def unbroken(self):
        if self.expected is None:
            job, out = self.job("unbroken")
            self.complete(job, 1)
            type(self).expected = lrp.scores(out)
        return self.expected

    def calls(self, points, ranks=None, rank=0):
        """A line of wrap.c for each call of an unbroken run."""
        job, out = self.job(f"counted-{ranks}-{rank}")
        path = os.path.join(self.folder, "calls")
        for old in (path, out):
            if os.path.isdir(old):
                shutil.rmtree(old)
            elif os.path.exists(old):
                os.remove(old)
        env = Fault(points, rank=rank).environment(self.folder)
        result = run([job], ranks, dict(env, FAULT_TRACE=path))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(lrp.scores(out), self.unbroken())
        return lrp.read(path).splitlines()

    def numbers(self, points, most, ranks=None, rank=0):
        """Calls to fail: of each chain of calls in the program the first and the last one."""
        first, last = {}, {}
        for n, line in enumerate(self.calls(points, ranks, rank), start=1):
            first.setdefault(line, n)
            last[line] = n
        return sample(sorted({*first.values(), *last.values()}), most)

    def strike(self, fault, ranks=None):
        """(job, output, result, where): a run with the fault; where is None if it never came."""
        name = re.sub(r"\W+", "-", str(fault)) + f"-{ranks}"
        job, out = self.job(name)
        report = self.path(name + ".report")
        result = run([job], ranks, dict(fault.environment(self.folder), FAULT_REPORT=report))
        return job, out, result, lrp.read(report) if os.path.exists(report) else None

    def assert_failed(self, result, codes, pattern="."):
        """One of the exit codes, and one message unless that is 0."""
        self.assertIn(result.returncode, codes, result.stderr)
        messages = lrp.errors(result)
        self.assertEqual(len(messages), int(result.returncode != 0), result.stderr)
        self.assertRegex(messages[0] if messages else "none", pattern)

    def assert_goes_on(self, job, out):
        """The same command without the fault ends like an unbroken run."""
        again = lrp.run([job])
        self.assertEqual(again.returncode, 0, "the next run: " + again.stderr)
        self.assertEqual(lrp.scores(out), self.unbroken(), "the next run")
        verified = lrp.run(["verify", out])
        self.assertEqual(verified.returncode, 0, verified.stdout)
        left = [name for name in os.listdir(out) if "partial" in name or name.startswith("lock")]
        self.assertEqual(left, [], "left in the output")

    def each(self, faults, check, ranks=None):
        """check(result) of a run with each fault, then the run without it."""
        def one(fault):
            job, out, result, where = self.strike(fault, ranks)
            try:
                if where is None or HARMLESS.intersection(places(where).split(" < ")):
                    self.assertEqual(result.returncode, 0, result.stderr)
                else:
                    check(result)
                self.assert_goes_on(job, out)
            except AssertionError as failure:
                text = f"{fault}, {places(where)}:\n{failure}"
                print(text, file=sys.stderr, flush=True)
                return text
            finally:
                shutil.rmtree(out, ignore_errors=True)
            return None

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            failures = [f for f in pool.map(one, faults) if f]
        if failures:
            self.fail(f"{len(failures)} of {len(faults)} faults:\n\n" + "\n\n".join(failures))
