"""What the command-line tests share: running lrpipe, small models, small data, comparing outputs.

Standard library only, but for factors(), which needs h5py and numpy.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

LRPIPE = os.environ["LRPIPE_BINARY"]
SYNTH_MODEL = os.environ["SYNTH_MODEL"]
SHARED = os.environ.get("LRP_SHARED", "")
MPIEXEC = os.environ.get("MPIEXEC", "mpirun")

WORDS = ("the a one red blue small large cat dog bird house tree river runs sleeps eats sings "
         "under over near with water light night day").split()


def environment(extra=None):
    """The environment of a run: nothing of LRPIPE_* but what the test asks for."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("LRPIPE_")}
    env.update(OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
               OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
               OMPI_MCA_mpi_yield_when_idle="1")
    env.update(extra or {})
    return env


def command(args, ranks):
    return ([MPIEXEC, "-np", str(ranks)] if ranks else []) + [LRPIPE] + [str(a) for a in args]


def run(args, ranks=None, timeout=240, env=None, cwd=None, **more):
    """lrpipe args, under mpirun with that many process ranks, or alone."""
    return subprocess.run(command(args, ranks), env=environment(env), cwd=cwd, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def errors(result):
    """lrpipe's own error lines."""
    return [line for line in result.stderr.splitlines() if line.startswith("lrpipe: error:")]


def synth_model(directory, *options):
    subprocess.run([SYNTH_MODEL, directory, *map(str, options)], check=True,
                   stdout=subprocess.DEVNULL)
    return directory


def sentence(i, n):
    """n words that depend on i alone."""
    return " ".join(WORDS[(i * 7 + j * (i % 5 + 3)) % len(WORDS)] for j in range(n))


def write_data(directory, rows=12):
    """A data set of our own making: piqa and arc_easy."""
    piqa = [{"goal": sentence(i, 6), "sol1": sentence(i + 50, 4), "sol2": sentence(i + 90, 5),
             "label": i % 2} for i in range(rows)]
    arc = [{"id": f"q{i}", "question": sentence(i, 7) + "?",
            "choices": {"text": [sentence(i + 10 * c, 2 + c % 3) for c in range(4)],
                        "label": list("ABCD")}, "answerKey": "ABCD"[i % 4]} for i in range(rows)]
    for name, data in (("piqa/validation.jsonl", piqa), ("ai2_arc/ARC-Easy/test.jsonl", arc)):
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(row) + "\n" for row in data)
    return directory


JOB = {
    "model": None,
    "output": None,
    "decompose": {"method": "tucker", "dtype": "float32"},
    "configurations": [
        {"name": "dense"},
        {"name": "r1", "layers": [1], "tensors": "all", "rank": 1},
        {"name": "all_r4", "layers": "all", "tensors": "all", "rank": 4},
    ],
    "evaluate": {"data": None, "tasks": ["arc_easy", "piqa"]},
}


def job(model, output, data, **changes):
    result = json.loads(json.dumps(JOB))
    result.update(model=model, output=output)
    result["evaluate"]["data"] = data
    result.update(changes)
    return result


def write_job(path, content):
    """JSON is YAML."""
    with open(path, "w", encoding="utf-8") as f:
        json.dump(content, f, indent=1)
    return path


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


def read_json(*path):
    return json.loads(read(*path))


def samples(output, configuration, task):
    text = read(output, configuration, f"samples_{task}.jsonl")
    return [json.loads(line) for line in text.splitlines()]


def scores(output):
    """Everything that must not depend on how a run went: name -> content."""
    result = {"tradeoff.csv": read(output, "tradeoff.csv")}
    for configuration in sorted(os.listdir(output)):
        folder = os.path.join(output, configuration)
        if not os.path.isdir(folder):
            continue
        result[configuration] = read_json(folder, "results.json")["results"]
        for name in sorted(os.listdir(folder)):
            if name.startswith("samples_"):
                result[f"{configuration}/{name}"] = read(folder, name)
    return result


def digests(output):
    """SHA-256 of the ledgers and tables: what a run that has nothing to do must leave alone."""
    result = {}
    for name in os.listdir(output):
        if name.endswith((".h5", ".csv")):
            with open(os.path.join(output, name), "rb") as f:
                result[name] = hashlib.sha256(f.read()).hexdigest()
    return result


def factors(output):
    """name -> array, from all factors ledgers."""
    import h5py
    result = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            result[name] = item[()]

    for name in sorted(os.listdir(output)):
        if name.startswith("factors") and name.endswith(".h5"):
            with h5py.File(os.path.join(output, name), "r") as f:
                f["factors"].visititems(visit)
    return result


def have_h5py():
    try:
        import h5py  # noqa: F401
        import numpy  # noqa: F401
    except ImportError:
        return False
    return True


class Case(unittest.TestCase):
    """A temporary folder with a small model and data."""

    MODEL = ("--hidden", 32, "--intermediate", 48, "--layers", 3, "--heads", 4, "--kv-heads", 2,
             "--vocab", 400, "--max-position", 256)

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="lrpipe-test-")
        cls.model = synth_model(os.path.join(cls.folder, "model"), *cls.MODEL)
        cls.data = write_data(os.path.join(cls.folder, "data"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def job(self, name, **changes):
        """Write a job of that name; its output is <name>.out."""
        out = self.path(name + ".out")
        return write_job(self.path(name + ".yaml"), job(self.model, out, self.data, **changes)), out

    def complete(self, job_file, ranks=2, *args, env=None):
        result = run([job_file, *args], ranks, env=env)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result


def kill_run(args, ranks, after_s):
    """Start a run, kill -9 mpirun and all process ranks after that time. True if it was alive."""
    process = subprocess.Popen(command(args, ranks), env=environment(), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(timeout=after_s)
        return False
    except subprocess.TimeoutExpired:
        pass
    kill_all(process)
    return True


def kill_all(process):
    """kill -9 of a process and of all below it."""
    for pid in [process.pid, *descendants(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def descendants(pid):
    """All processes below pid, by /proc."""
    parent = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                    parent[int(entry)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        children = [c for c, q in parent.items() if q == p]
        found += children
        todo += children
    return found


def main():
    """Run the calling module's tests; 77 (skipped for ctest) if every one was skipped."""
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if result.wasSuccessful() and result.testsRun == len(result.skipped):
        sys.exit(77)
    sys.exit(0 if result.wasSuccessful() else 1)
