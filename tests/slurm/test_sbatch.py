"""slurm/lrpipe.sbatch alone, with commands that play Slurm; run.sh has a real one."""

import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cli"))
import lrp  # noqa: E402

SCRIPT = os.path.join(HERE, "..", "..", "slurm", "lrpipe.sbatch")

# TURN_S: seconds that Slurm grants, or none; REQUEUE: the exit code of scontrol. Open MPI must not
# see the marks of a Slurm job, or it looks for the cluster.
COMMANDS = {
    "squeue": 'if [ "$TURN_S" ]; then date -d "$TURN_S seconds" "+$SLURM_TIME_FORMAT"; '
              "else echo N/A; fi",
    "scontrol": "exit ${REQUEUE:-0}",
    "lrpipe": 'exec "$LRPIPE" "$@"',
    "mpirun": 'shift 2; unset SLURM_JOB_ID; exec "$MPIEXEC" -np 1 "$@"',
    "srun": 'while [ "$1" != lrpipe ]; do shift; done; '
            'unset SLURM_JOB_ID; exec "$MPIEXEC" -np 1 "$@"',
}


class Sbatch(lrp.Case):
    MODEL = ("--hidden", 256, "--intermediate", 512, "--layers", 8, "--heads", 4, "--vocab", 400,
             "--max-position", 256)

    def setUp(self):
        """Commands that write down how they are called and then play their part."""
        self.bin = self.path(self.id() + ".bin")
        os.makedirs(self.bin)
        for name, text in COMMANDS.items():
            path = os.path.join(self.bin, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(f'#!/bin/bash\necho "$@" >> {self.bin}/{name}.calls\n{text}\n')
            os.chmod(path, 0o755)

    def calls(self, name):
        path = os.path.join(self.bin, name + ".calls")
        return lrp.read(path).splitlines() if os.path.exists(path) else []

    def start(self, *args, **env):
        env = dict(env, PATH=self.bin + os.pathsep + os.environ["PATH"], LRPIPE=lrp.LRPIPE,
                   MPIEXEC=shutil.which(lrp.MPIEXEC), SLURM_JOB_ID="7", SLURM_JOB_NODELIST="here")
        process = subprocess.Popen(["bash", SCRIPT, *args], env=lrp.environment(env), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def ends(self, process, code, *words, requeued):
        output, _ = process.communicate(timeout=240)
        self.assertEqual(process.returncode, code, output)
        for word in words:
            self.assertIn(word, output)
        self.assertEqual(self.calls("scontrol"), ["requeue 7"] if requeued else [])

    def wait_for_work(self, out, process, units=3):
        log = os.path.join(out, "run.log")
        while not os.path.exists(log) or lrp.read(log).count("decomposed") < units:
            self.assertIsNone(process.poll(), "ended too early")
            time.sleep(0.01)

    def test_complete(self):
        job, out = self.job("complete")
        self.ends(self.start(job), 0, "complete", requeued=False)
        self.assertEqual(self.calls("mpirun"), [f"--bind-to none lrpipe {job}"])

    def test_arguments_and_threads_go_to_the_run(self):
        job, out = self.job("arguments")
        other = self.path("other.out")
        self.ends(self.start(job, "--set", f"output={other}", LAUNCHER="srun", TURN_S="3600",
                             SLURM_CPUS_PER_TASK="2"), 0, "2 threads each", requeued=False)
        self.assertTrue(os.path.exists(os.path.join(other, "tradeoff.csv")))
        (call,) = self.calls("srun")
        self.assertRegex(call, rf"--mpi=pmix .*--cpus-per-task=2 .*lrpipe --max-time 35\d\d {job} "
                               rf"--set output={other}")

    def test_end_time_of_the_environment(self):
        job, _ = self.job("environment")
        end = str(int(time.time()) + 3600)
        self.ends(self.start(job, SLURM_JOB_END_TIME=end, RESERVE_S="1000"), 0, requeued=False)
        self.assertEqual(self.calls("squeue"), [])
        self.assertRegex(self.calls("mpirun")[0], r"--max-time (2600|25\d\d) ")

    def test_usr2_requeues(self):
        job, out = self.job("usr2")
        process = self.start(job)
        self.wait_for_work(out, process)
        process.send_signal(signal.SIGUSR2)  # to the batch shell only, as Slurm does
        self.ends(process, 75, "USR2", "stopped early by signal", "requeueing", requeued=True)

    def test_stop_is_for_good(self):
        job, out = self.job("stop")
        process = self.start(job)
        self.wait_for_work(out, process)
        with open(os.path.join(out, "STOP"), "w", encoding="utf-8"):
            pass
        self.ends(process, 75, "not requeued: stopped by", requeued=False)

    def test_no_progress_is_not_tried_again(self):
        # A unit of more than a second by the first guess, so that nothing can begin.
        large = lrp.synth_model(self.path("large"), "--hidden", 1024, "--intermediate", 2048,
                                "--layers", 2, "--heads", 4, "--vocab", 400)
        job, _ = self.job("no-progress")
        self.ends(self.start(job, "--set", f"model={large}", TURN_S="30"), 75, "needs about", "stored nothing",
                  requeued=False)

    def test_progress_of_earlier_turns_does_not_count(self):
        job, out = self.job("earlier")
        process = self.start(job)
        self.wait_for_work(out, process)
        process.send_signal(signal.SIGUSR2)
        self.ends(process, 75, requeued=True)
        with open(os.path.join(self.bin, "mpirun"), "w", encoding="utf-8") as f:
            f.write("#!/bin/bash\nexit 75\n")
        os.remove(os.path.join(self.bin, "scontrol.calls"))
        self.ends(self.start(job), 75, "stored nothing", requeued=False)

    def test_samples_are_progress(self):
        job, out = self.job("samples")
        self.complete(job, 1)
        process = self.start(job, "--set", "measure.repeats=100000", "--set",
                             "measure.batch_size=1", "--set", "measure.sequence_length=8")
        while not os.path.exists(os.path.join(out, "measurements.json")):  # every few seconds
            self.assertIsNone(process.poll(), "ended too early")
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR2)
        self.ends(process, 75, "stopped early by signal", "requeueing", requeued=True)

    def test_requeue_that_fails(self):
        job, out = self.job("refused")
        process = self.start(job, REQUEUE="1")
        self.wait_for_work(out, process)
        process.send_signal(signal.SIGUSR2)
        self.ends(process, 75, requeued=True)

    def test_other_codes_pass(self):
        job, _ = self.job("bad", decompose={"method": "qr"})
        self.ends(self.start(job), 78, "qr", requeued=False)
        self.assertEqual(self.calls("mpirun"), [])
        job, _ = self.job("nodata")
        os.rename(self.data, self.data + ".away")
        try:
            self.ends(self.start(job), 66, requeued=False)
        finally:
            os.rename(self.data + ".away", self.data)
        self.ends(self.start(job, LAUNCHER="aprun"), 2, "mpirun or srun", requeued=False)


if __name__ == "__main__":
    lrp.main()
