"""Watching a run: a bar on a terminal, lines on a pipe and in run.log, progress.json, status."""

import os
import pty
import re
import select
import subprocess
import unittest

import lrp

LINE = re.compile(r"^(?:\S+Z )?(decomposed (\S+) rank \d+ error \S+ in \S+ s \(\w+\)|"
                  r"evaluated block (\d+) of (\S+) under (\S+|\d+ configurations)), "
                  r"(\d+) of (\d+) (units|blocks) \((\d+) %\)(?:, about \d+:\d\d:\d\d to go)?$")


def lines(text):
    return [match for match in map(LINE.match, text.splitlines()) if match]


class Progress(lrp.Case):
    # Long enough for some redrawn bars.
    MODEL = ("--hidden", 192, "--intermediate", 384, "--layers", 6, "--heads", 4, "--vocab", 400,
             "--max-position", 256)
    UNITS = 6 * 7

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lrp.write_data(cls.data, rows=30)

    def on_terminal(self, args, columns=100, term="xterm"):
        """Exit code, what stdout got, what the terminal that is stderr got."""
        ours, theirs = pty.openpty()
        subprocess.run(["stty", "cols", str(columns), "rows", "30"], stdin=theirs, check=True)
        process = subprocess.Popen(lrp.command(args, None), env=lrp.environment({"TERM": term}),
                                   stdout=subprocess.PIPE, stderr=theirs, text=True)
        os.close(theirs)
        shown = b""
        try:
            while True:
                ready, _, _ = select.select([ours], [], [], 120)
                self.assertTrue(ready, "nothing for two minutes")
                piece = os.read(ours, 65536)
                if not piece:
                    break
                shown += piece
        except OSError:  # the other end is closed
            pass
        finally:
            os.close(ours)
        output = process.communicate(timeout=60)[0]
        return process.returncode, output, shown.decode("utf-8")

    def check_log(self, out, units, attempt_at=0):
        """Every unit once, counts that never fall, and all at the end."""
        log = lrp.read(out, "run.log")[attempt_at:]
        found = lines(log)
        self.assertEqual(log.count("decomposed ") + log.count("evaluated block "), len(found), log)
        names = [m.group(2) for m in found if m.group(2)]
        self.assertEqual(len(names), units)
        self.assertEqual(len(set(names)), units)
        for items in ("units", "blocks"):
            counts = [int(m.group(6)) for m in found if m.group(8) == items]
            self.assertEqual(counts, sorted(counts))
            self.assertEqual(counts[-1], int([m for m in found if m.group(8) == items][-1].group(7)))
        return found

    def test_terminal_has_a_bar(self):
        job, out = self.job("terminal")
        code, output, shown = self.on_terminal([job])
        self.assertEqual(code, 0, shown)
        self.assertIn("complete: ", output)
        self.check_log(out, self.UNITS)
        self.assertEqual(lines(shown), [], "no line per unit where there is a bar")
        # Each bar is in place of the one before; nothing of it is left where a line ends.
        bars = [piece for piece in re.findall(r"\r\x1b\[K([^\r\n]*)", shown)
                if re.match(r"(decompose|evaluate) \[[#.]+\] \d+/\d+ +\d+ %  \d+:\d\d:\d\d", piece)]
        self.assertTrue(bars, shown)
        for bar in bars:
            self.assertLess(len(bar), 100)
        self.assertEqual(self.screen(shown)[-1], "", "the bar is cleared at the end")
        self.assertFalse([line for line in self.screen(shown) if re.search(r"\d+/\d+ +\d+ %", line)])

    @staticmethod
    def screen(shown):
        """What is to be read in the end: \\r and erasing applied to each line."""
        result = []
        for line in shown.replace("\r\n", "\n").split("\n"):
            text = ""
            for piece in re.split(r"(\r|\x1b\[K)", line):
                text = "" if piece in ("\r", "\x1b[K") else text + piece
            result.append(text)
        return result

    def test_quiet_and_dumb_terminals(self):
        job, out = self.job("quiet")
        code, _, shown = self.on_terminal([job, "--quiet"])
        self.assertEqual((code, shown), (0, ""))
        self.check_log(out, self.UNITS)
        job, out = self.job("dumb")
        code, _, shown = self.on_terminal([job], term="dumb")
        self.assertEqual(code, 0, shown)
        self.assertNotIn("\x1b", shown)
        self.assertTrue(lines(shown.replace("\r\n", "\n")))

    def test_pipe_has_lines(self):
        for ranks in (None, 3):
            job, out = self.job(f"pipe{ranks}")
            result = lrp.run([job], ranks)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertNotIn("\x1b", result.stderr)
            self.assertNotIn("\r", result.stderr)
            found = lines(result.stderr)
            self.assertTrue(found, result.stderr)
            self.assertLess(len(found), self.UNITS, "about one a second")
            self.assertEqual([m.group(9) for m in found if m.group(8) == "blocks"][-1], "100")
            self.check_log(out, self.UNITS)
            self.assertEqual(lines(lrp.run([self.job(f"pipe{ranks}")[0], "--quiet"], ranks).stderr), [])

    def test_file_and_status(self):
        job, out = self.job("status")
        self.complete(job, 2)
        progress = lrp.read_json(out, "progress.json")
        self.assertEqual((progress["state"], progress["percent"], progress["eta_seconds"],
                          progress["what"], progress["items"]),
                         ("complete", 100, 0.0, None, "blocks"))
        self.assertEqual(progress["done"], progress["total"])
        status = lrp.run(["status", out]).stdout
        self.assertRegex(status, r"(?m)^attempt    1, started \S+Z, last sign of life \S+Z$")
        self.assertNotIn("stage ", status)
        os.unlink(os.path.join(out, "progress.json"))
        self.assertEqual(len(lrp.run(["status", out]).stdout.splitlines()), 3)

    def test_resume_counts_what_is_done(self):
        job, out = self.job("resume")
        first = lrp.run([job, "--max-time", "0.7"], 2)
        if first.returncode == 0:
            self.skipTest("was too fast to be stopped")
        self.assertEqual(first.returncode, 75, first.stderr)
        progress = lrp.read_json(out, "progress.json")
        self.assertLess(progress["percent"], 100)
        status = lrp.run(["status", out]).stdout
        self.assertRegex(status, r"(?m)^stage      \w+, \d+ of \d+ \w+ \(\d+ %\)$")
        before = lrp.read(out, "run.log")
        self.complete(job, 3)
        done = sum(1 for m in lines(before) if m.group(2))
        if done < self.UNITS:
            found = self.check_log(out, self.UNITS - done, len(before))
            self.assertEqual(int(found[0].group(6)), done + 1)


if __name__ == "__main__":
    lrp.main()
