"""Decomposes a whole model of random weights beside a plain read of its files.

Prints a line of JSON for each of two cases on stdout, what happens meanwhile on stderr:
    rank 16, all matrices:       wall time / buffered read of the files, both not in the page cache;
                                 peak of RssAnon + RssShmem of a process rank
    rank 2048, an eighth of the layers:  predicted / measured seconds, balance of the process ranks

The default is the shape of Llama-2-7B in bfloat16 (13.5 GB), which needs 30 GB of disk in
LRP_BENCH_DIR (default: a folder in BUILD). Standard library only.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

MIB = 1 << 20
GIB = 1 << 30
READ_RATIO_MAX = 1.3
PEAK_MAX = 1.5 * GIB
PREDICTED_MAX = 0.2
BALANCE_MAX = 1.1
TENSORS_PER_LAYER = 7


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def environment(folder):
    env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    env.setdefault("LRPIPE_CALIBRATION", os.path.join(folder, "calibration.json"))
    if os.getuid() == 0:
        env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return env


class Bench:
    def __init__(self, options):
        self.options = options
        self.lrpipe = os.path.join(options.build, "lrpipe")
        self.synth_model = os.path.join(options.build, "tests", "tools", "synth_model")
        default = os.path.join(options.build, "tests", "bench", "model")
        self.folder = os.path.abspath(os.environ.get("LRP_BENCH_DIR", default))
        shape = f"{options.hidden}-{options.intermediate}-{options.layers}"
        self.model = os.path.join(self.folder, "model-" + shape)
        self.env = environment(self.folder)

    # The model

    def weights_bytes(self):
        """Of the matrices and the two tables, roughly."""
        o = self.options
        layer = 4 * o.hidden ** 2 + 3 * o.hidden * o.intermediate
        return 2 * (o.layers * layer + 2 * o.vocab * o.hidden)

    def has_room(self):
        os.makedirs(self.folder, exist_ok=True)
        made = os.path.exists(os.path.join(self.model, "config.json"))
        needed = self.weights_bytes() * (1.0 if made else 2.2)
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            say(f"skipped: {self.folder} has {free / GIB:.1f} GiB free, {needed / GIB:.1f} are "
                "needed; set LRP_BENCH_DIR to a folder with more")
        return free >= needed

    def make(self):
        o = self.options
        if os.path.exists(os.path.join(self.model, "config.json")):  # written last
            return
        say(f"making {self.model}: {self.weights_bytes() / GIB:.1f} GiB")
        shutil.rmtree(self.model, ignore_errors=True)
        subprocess.run([self.synth_model, self.model, "--hidden", str(o.hidden), "--intermediate",
                        str(o.intermediate), "--layers", str(o.layers), "--heads", str(o.heads),
                        "--vocab", str(o.vocab), "--dtype", "bfloat16", "--shards", "2"],
                       check=True, stdout=sys.stderr)

    def files(self):
        return sorted(os.path.join(self.model, name) for name in os.listdir(self.model)
                      if name.endswith(".safetensors"))

    # The page cache

    def drop(self):
        """Take the files out of the page cache; how many bytes of them stay, None if unknown."""
        for path in self.files():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)  # dirty pages cannot be dropped
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
        if not shutil.which("fincore"):
            return None
        shown = subprocess.run(["fincore", "-nb", "-o", "RES", *self.files()], check=True,
                               stdout=subprocess.PIPE, text=True).stdout
        left = sum(int(line) for line in shown.split())
        if left > 0.02 * self.weights_bytes():
            say(f"warning: {left / MIB:.0f} MiB stay in the page cache: times are too short")
        return left

    def read(self):
        """Seconds of a plain read of the files, and their bytes."""
        buffer = bytearray(16 * MIB)
        total = 0
        start = time.monotonic()
        for path in self.files():
            with open(path, "rb", buffering=0) as f:
                count = f.readinto(buffer)
                while count:
                    total += count
                    count = f.readinto(buffer)
        return time.monotonic() - start, total

    # A run

    def write_job(self, name, layers, rank):
        path = os.path.join(self.folder, name + ".yaml")
        output = os.path.join(self.folder, name)
        shutil.rmtree(output, ignore_errors=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"model: {json.dumps(self.model)}\noutput: {json.dumps(output)}\n"
                    f"configurations:\n  - {{name: r{rank}, layers: {layers}, tensors: all, "
                    f"rank: {rank}}}\n")
        return path, output

    def run(self, job):
        """Seconds of a run, and the largest sum of RssAnon and RssShmem of each process rank."""
        command = [self.options.mpirun, "-np", str(self.options.ranks), self.lrpipe, "--quiet", job]
        start = time.monotonic()
        process = subprocess.Popen(command, env=self.env, stdout=sys.stderr)
        peaks = Peaks(process.pid)
        code = process.wait()
        seconds = time.monotonic() - start
        found = peaks.stop()
        if code != 0:
            raise SystemExit(f"{' '.join(command)}: exit code {code}")
        return seconds, found

    def calibrate(self):
        if self.options.no_calibration or os.path.exists(self.env["LRPIPE_CALIBRATION"]):
            return
        say("measuring the constants of predictions: lrpipe doctor --calibrate")
        result = subprocess.run([self.options.mpirun, "-np", str(self.options.ranks), self.lrpipe,
                                 "doctor", "--calibrate"], env=self.env, stdout=sys.stderr)
        if result.returncode != 0:
            say(f"it ended with exit code {result.returncode}: going on with the defaults")


class Peaks(threading.Thread):
    """Watches the lrpipe processes below one process."""

    def __init__(self, root):
        super().__init__(daemon=True)
        self.root, self.peaks, self.ended = root, {}, threading.Event()
        self.start()

    @staticmethod
    def status(pid):
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            return dict(line.split(":", 1) for line in f)

    def look(self):
        found = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    found[int(name)] = self.status(name)
                except (OSError, ValueError):
                    pass  # it ended meanwhile
        below = {self.root}
        while True:
            more = {pid for pid, s in found.items() if int(s["PPid"]) in below} - below
            if not more:
                break
            below |= more
        for pid in below & set(found):
            status = found[pid]
            if status["Name"].strip() == "lrpipe" and "RssAnon" in status:
                size = 1024 * sum(int(status[key].split()[0]) for key in ("RssAnon", "RssShmem"))
                self.peaks[pid] = max(size, self.peaks.get(pid, 0))

    def run(self):
        while not self.ended.wait(0.05):
            self.look()

    def stop(self):
        self.ended.set()
        self.join()
        return [self.peaks[pid] for pid in sorted(self.peaks)]


def rank_16(bench):
    o = bench.options
    job, output = bench.write_job("all", "all", o.small_rank)
    reads, runs, peaks = [], [], []
    for i in range(o.repeats):
        bench.drop()
        seconds, size = bench.read()
        reads.append(seconds)
        shutil.rmtree(output, ignore_errors=True)
        bench.drop()
        seconds, found = bench.run(job)
        runs.append(seconds)
        peaks.append(max(found, default=0))
        say(f"read {reads[-1]:.2f} s, {size / 1e6 / reads[-1]:.0f} MB/s; run {seconds:.2f} s, "
            f"largest process rank {peaks[-1] / MIB:.0f} MiB")
    ratio = statistics.median(runs) / statistics.median(reads)
    return {"case": f"model-r{o.small_rank}", "layers": o.layers,
            "matrices": TENSORS_PER_LAYER * o.layers, "rank": o.small_rank, "ranks": o.ranks,
            "bytes": size, "seconds": statistics.median(runs),
            "read_seconds": statistics.median(reads), "ratio": ratio,
            "peak_bytes_per_rank": max(peaks),
            "goal": f"<= {READ_RATIO_MAX} of a buffered read, <= {PEAK_MAX / GIB} GiB per "
                    "process rank",
            "reached": ratio <= READ_RATIO_MAX and 0 < max(peaks) <= PEAK_MAX}


LOGGED = re.compile(r"predicted ([\d.]+) s; slowest process rank ([\d.]+) s, mean ([\d.]+) s, "
                    r"balance ([\d.]+)")


def rank_2048(bench):
    """What the plan says and what the run logs of its decompose stage."""
    o = bench.options
    count = max(1, o.layers // 8)
    bench.calibrate()
    job, output = bench.write_job("some", f'"0:{count - 1}"', o.large_rank)
    plan = subprocess.run([bench.lrpipe, "plan", "--ranks", str(o.ranks), job], env=bench.env,
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    say(plan)
    bench.drop()
    seconds, found = bench.run(job)
    with open(os.path.join(output, "run.log"), encoding="utf-8") as f:
        text = f.read()
    line = next((s for s in text.splitlines() if " predicted " in s and "decompose" in s), "")
    say(line or "run.log has no line on what was predicted")
    match = LOGGED.search(line)
    predicted, slowest, mean, balance = map(float, match.groups()) if match else [None] * 4
    measured = re.search(r"units? in ([\d.]+) s", line)
    took = float(measured[1]) if measured else None
    off = predicted / took - 1.0 if predicted and took else None
    return {"case": f"model-r{o.large_rank}", "layers": count,
            "matrices": TENSORS_PER_LAYER * count, "rank": o.large_rank, "ranks": o.ranks,
            "seconds": seconds, "decompose_seconds": took, "predicted_seconds": predicted,
            "predicted_off": off, "slowest_rank_seconds": slowest, "mean_rank_seconds": mean,
            "balance": balance, "peak_bytes_per_rank": max(found, default=0),
            "goal": f"predicted within {PREDICTED_MAX:.0%}, balance <= {BALANCE_MAX}",
            "reached": None if off is None or balance is None else
            abs(off) <= PREDICTED_MAX and balance <= BALANCE_MAX}


def parse():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", metavar="BUILD", help="a release build, as build/release")
    p.add_argument("--only", choices=("small-rank", "large-rank"), help="one of the two cases")
    p.add_argument("--ranks", type=int, default=2, help="process ranks [2]")
    p.add_argument("--repeats", type=int, default=1, help="of reading and running at rank 16 [1]")
    p.add_argument("--mpirun", default="mpirun")
    p.add_argument("--no-calibration", action="store_true",
                   help="predict by what was measured before, or else by the program's defaults")
    for name, value in (("hidden", 4096), ("intermediate", 11008), ("layers", 32), ("heads", 32),
                        ("vocab", 32000), ("small-rank", 16), ("large-rank", 2048)):
        p.add_argument("--" + name, type=int, default=value, help=f"[{value}]")
    return p.parse_args()


def main():
    options = parse()
    bench = Bench(options)
    if not bench.has_room():
        return 0
    bench.make()
    cases = {"small-rank": rank_16, "large-rank": rank_2048}
    for name, case in cases.items():
        if options.only in (None, name):
            print(json.dumps(case(bench)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
