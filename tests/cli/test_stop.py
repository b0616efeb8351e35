"""Ending in time: signals, OUT/STOP, --max-time, the watchdog."""

import os
import signal
import subprocess
import time
import unittest

import lrp


class Stop(lrp.Case):
    # Some seconds of work in many small pieces.
    MODEL = ("--hidden", 256, "--intermediate", 512, "--layers", 12, "--heads", 4, "--vocab", 400,
             "--max-position", 256)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lrp.write_data(cls.data, rows=80)
        cls.expected = None

    def unbroken(self):
        if type(self).expected is None:
            job, out = self.job("unbroken")
            self.complete(job, 2)
            type(self).expected = lrp.scores(out)
        return type(self).expected

    def start(self, job, *args, ranks=2):
        process = subprocess.Popen(lrp.command([job, *args], ranks), env=lrp.environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def wait_for_work(self, out, process, units=3):
        """Until that many units are stored."""
        log = os.path.join(out, "run.log")
        while not os.path.exists(log) or lrp.read(log).count("decomposed") < units:
            self.assertIsNone(process.poll(), "ended too early")
            time.sleep(0.01)

    def resume(self, job, out):
        """The same command ends the job as if it had never been stopped."""
        self.complete(job, 3)
        self.assertNotIn("stopped_by", lrp.read_json(out, "progress.json"))
        self.assertEqual(lrp.scores(out), self.unbroken())

    def stopped(self, process, word):
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, errors)
        lines = [line for line in errors.splitlines() if line.startswith("lrpipe: ")]
        self.assertEqual(len(lines), 1, errors)
        self.assertIn(word, lines[0])
        self.assertNotIn("complete", output)

    def stopped_by(self, out, what):
        progress = lrp.read_json(out, "progress.json")
        self.assertEqual((progress["state"], progress["stopped_by"]), ("stopped", what))

    def test_usr2(self):
        job, out = self.job("usr2")
        process = self.start(job)
        self.wait_for_work(out, process)
        start = time.monotonic()
        process.send_signal(signal.SIGUSR2)
        self.stopped(process, "USR2")
        self.assertLess(time.monotonic() - start, 20)
        self.stopped_by(out, "signal")
        self.assertIn("incomplete", lrp.run(["status", out]).stdout)
        self.resume(job, out)

    def test_stop_file(self):
        job, out = self.job("stopfile")
        process = self.start(job)
        self.wait_for_work(out, process)
        with open(os.path.join(out, "STOP"), "w", encoding="utf-8"):
            pass
        self.stopped(process, "STOP")
        self.stopped_by(out, "file")
        self.assertFalse(os.path.exists(os.path.join(out, "STOP")), "the same command goes on")
        self.resume(job, out)

    def test_max_time(self):
        job, out = self.job("maxtime")
        process = self.start(job, "--max-time", "1.5")
        self.stopped(process, "time limit")
        for attempt in range(3, 30):  # with a limit each time: progress until it is done
            result = lrp.run([job, "--max-time", f"0:{attempt:02}"], 2)
            if result.returncode == 0:
                break
            self.assertEqual(result.returncode, 75, result.stderr)
        self.assertEqual(lrp.scores(out), self.unbroken())

    def test_too_little_time_says_what_is_needed(self):
        job, out = self.job("notime")
        process = self.start(job, "--max-time", "0.1")
        self.stopped(process, "needs about")
        self.stopped_by(out, "time")
        self.resume(job, out)

    def test_slurm_end_time(self):
        job, out = self.job("slurm")
        result = lrp.run([job], 2, env={"SLURM_JOB_END_TIME": str(int(time.time()) + 1)})
        self.assertEqual(result.returncode, 75, result.stderr)
        self.resume(job, out)

    def test_usr1_goes_on(self):
        job, out = self.job("usr1")
        process = self.start(job)
        self.wait_for_work(out, process)
        for _ in range(5):
            process.send_signal(signal.SIGUSR1)
            time.sleep(0.05)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(lrp.scores(out), self.unbroken())

    def test_early_signals_do_not_kill(self):
        job, out = self.job("early")
        for delay in (0.3, 0.6):  # mpirun itself must be up before it forwards anything
            process = self.start(job)
            time.sleep(delay)
            process.send_signal(signal.SIGUSR1)
            process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0)
        self.assertEqual(lrp.scores(out), self.unbroken())

    def test_term_ends_at_once(self):
        job, out = self.job("term")
        process = self.start(job)
        self.wait_for_work(out, process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        self.assertNotEqual(process.returncode, 0)
        self.resume(job, out)

    def test_watchdog_names_a_frozen_rank(self):
        job, out = self.job("frozen")
        process = self.start(job, "--watchdog", "2", ranks=3)
        self.wait_for_work(out, process)
        ranks = [p for p in lrp.descendants(process.pid) if self.is_lrpipe(p)]
        self.assertEqual(len(ranks), 3)
        os.kill(ranks[-1], signal.SIGSTOP)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 70, errors)
        self.assertRegex(errors, r"lrpipe: error: process rank \d .* no sign of life .* phase: \w+")
        self.resume(job, out)

    @staticmethod
    def is_lrpipe(pid):
        try:
            return os.readlink(f"/proc/{pid}/exe") == os.path.realpath(lrp.LRPIPE)
        except OSError:
            return False


if __name__ == "__main__":
    lrp.main()
