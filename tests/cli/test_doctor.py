"""lrpipe doctor: what it finds, the remedy, the exit code, and that it leaves nothing behind."""

import json
import os
import re
import resource
import socket
import unittest

import lrp

LINE = re.compile(r"^(ok|warn|bad) +([A-Za-z][A-Za-z0-9 -]*): (.+)$")


def has_avx512():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return "avx512vl" in f.read()


class Doctor(lrp.Case):
    def doctor(self, *args, ranks=None, code=0, env=None, **more):
        """Run it; {subject: (level, finding, remedy)}."""
        before = self.everything()
        result = lrp.run(["doctor", *args], ranks, env=env, cwd=self.folder, **more)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertEqual(self.everything(), before)
        self.assertEqual(len(lrp.errors(result)), 0 if code == 0 else 1, result.stderr)
        findings, last = {}, None
        *lines, summary = result.stdout.splitlines()
        for line in lines:
            if line.startswith("      remedy: "):
                self.assertIn(findings[last][0], ("warn", "bad"))
                findings[last][2] = line.split(": ", 1)[1]
                continue
            level, last, text = LINE.match(line).groups()
            self.assertNotIn(last, findings)
            findings[last] = [level, text, None]
        for level, text, remedy in findings.values():
            self.assertEqual(level == "ok", remedy is None, text)
        counts = [sum(level == x for level, _, _ in findings.values())
                  for x in ("ok", "warn", "bad")]
        self.assertEqual(summary, "{} ok, {} to look at, {} bad".format(*counts))
        self.assertEqual(counts[2] > 0, code != 0)
        return findings

    def test_energy(self):
        """Only a job that measures asks for it."""
        job, _ = self.job("energy", evaluate={})
        self.assertNotIn("energy", self.doctor(job))
        job, _ = self.job("energy", evaluate={}, measure={})
        level, text, _ = self.doctor(job)["energy"]
        if os.path.exists("/sys/class/powercap/intel-rapl:0/energy_uj"):
            self.assertIn(level, ("ok", "warn"))
        else:
            self.assertEqual(level, "warn")
            self.assertIn("cannot be measured: ", text)

    def everything(self):
        return sorted(os.path.join(d, name) for d, dirs, files in os.walk(self.folder)
                      for name in dirs + files)

    def test_plain(self):
        found = self.doctor()
        for subject in ("ranks", "binding", "threads", "BLAS build", "BLAS kernel", "oneDNN", "MPI",
                        "MPI-IO", "HDF5", "memory", "time limit", "file system", "output", "fsync",
                        "reservation", "space", "lock", "predictions"):
            self.assertIn(subject, found)
        self.assertIn("1 process rank on 1 host (started without mpirun)", found["ranks"][1])
        self.assertIn("romio321", found["MPI-IO"][1])
        self.assertRegex(found["HDF5"][1], r"^\d+\.\d+\.\d+, parallel$")
        self.assertEqual(found["threads"][1], "1 per process rank (OMP_NUM_THREADS is 1)")

    def test_two_ranks(self):
        found = self.doctor(ranks=2)
        self.assertIn("2 process ranks", found["ranks"][1])

    def test_in_another_language(self):
        # A name that is not installed, or one with a decimal comma: the answer is the same.
        found = self.doctor(env={"LC_ALL": "de_DE.UTF-8"})
        self.assertRegex(found["fsync"][1], r"^\d+\.\d ms")

    def test_quiet(self):
        result = lrp.run(["doctor", "--quiet"], cwd=self.folder)
        self.assertEqual(result.returncode, 0)
        self.assertNotIn("ok   ", result.stdout)

    def test_too_many_threads(self):
        n = 2 * os.cpu_count() + 1
        level, text, remedy = self.doctor(env={"OMP_NUM_THREADS": str(n)})["threads"]
        self.assertEqual(level, "warn")
        self.assertIn(f"OMP_NUM_THREADS is {n}", text)
        self.assertIn("unset OMP_NUM_THREADS", remedy)

    def test_bound_to_one_core(self):
        if os.cpu_count() < 2:
            self.skipTest("one core")
        result = lrp.run(["doctor"], 1, cwd=self.folder,
                         env={"OMPI_MCA_hwloc_base_binding_policy": "core"})
        self.assertRegex(result.stdout, r"warn  binding: .* may use 1 of \d+ cores")
        self.assertIn("--bind-to none", result.stdout)
        self.assertRegex(result.stdout, r"--map-by node:PE=\d+")

    @unittest.skipUnless(has_avx512(), "the processor has no AVX-512")
    def test_lesser_kernels(self):
        found = self.doctor(env={"OPENBLAS_CORETYPE": "Haswell", "DNNL_MAX_CPU_ISA": "AVX2"})
        self.assertEqual(found["BLAS kernel"][0], "warn")
        self.assertIn("Haswell", found["BLAS kernel"][1])
        self.assertIn("unset OPENBLAS_CORETYPE", found["BLAS kernel"][2])
        self.assertEqual(found["oneDNN"][0], "warn")
        self.assertIn("DNNL_MAX_CPU_ISA", found["oneDNN"][2])

    def test_calibration_without_a_place(self):
        # Seen before anything is measured.
        blocked = os.path.join(self.folder, "file")
        with open(blocked, "w", encoding="utf-8") as f:
            f.write("x")
        for code, env in ((73, {"LRPIPE_CALIBRATION": blocked + "/calibration.json"}),
                          (2, {"HOME": "", "XDG_CACHE_HOME": ""})):
            result = lrp.run(["doctor", "--calibrate"], 2, cwd=self.folder, env=env, timeout=60)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertEqual(len(lrp.errors(result)), 1, result.stderr)

    def test_other_driver(self):
        level, text, remedy = self.doctor(env={"OMPI_MCA_io": "ompio"})["MPI-IO"]
        self.assertEqual(level, "warn")
        self.assertIn("ompio", text)
        self.assertIn("unset OMPI_MCA_io", remedy)

    def test_wrong_launcher(self):
        level, _, remedy = self.doctor(code=2, env={"PMI_SIZE": "4"})["ranks"]
        self.assertEqual(level, "bad")
        self.assertIn("srun --mpi=pmix", remedy)

    def test_time_limit(self):
        found = self.doctor(env={"SLURM_JOB_ID": "12"})
        self.assertEqual(found["time limit"][0], "warn")
        self.assertIn("--max-time", found["time limit"][2])
        found = self.doctor(env={"SLURM_JOB_ID": "12", "SLURM_JOB_END_TIME": "4102444800"})
        self.assertEqual(found["time limit"][0], "ok")

    def test_file_size_limit(self):
        limit = 1 << 28
        found = self.doctor(
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertEqual(found["file size"][0], "warn")
        self.assertIn("256 MiB", found["file size"][1])

    def test_memory_file_system(self):
        if not os.path.isdir("/dev/shm"):
            self.skipTest("no /dev/shm")
        output = f"/dev/shm/lrpipe-doctor-{os.getpid()}"
        level, text, _ = self.doctor(output)["file system"]
        self.assertEqual((level, "/dev/shm is tmpfs" in text), ("warn", True))
        self.assertFalse(os.path.exists(output), "nothing is left behind")

    def test_output_that_cannot_be(self):
        blocked = self.path("doctor-blocked")
        with open(blocked, "w", encoding="utf-8") as f:
            f.write("a file")
        for ranks in (None, 2):
            level, text, _ = self.doctor(f"{blocked}/a/b", code=73, ranks=ranks)["output"]
            self.assertEqual(level, "bad")
            self.assertIn(f"{blocked} is in the way: Not a directory", text)

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_no_permission(self):
        closed = self.path("doctor-closed")
        os.mkdir(closed, 0o500)
        self.assertEqual(self.doctor(closed, code=77)["output"][0], "bad")

    def test_lock(self):
        out = self.path("doctor-locked")
        os.makedirs(out, exist_ok=True)
        with open(os.path.join(out, "lock"), "w", encoding="utf-8") as f:
            f.write(f"host {socket.gethostname()}\npid {os.getpid()}\npids {os.getpid()}:0\njob 45\n")
        level, text, _ = self.doctor(out, code=73)["lock"]
        self.assertEqual(level, "bad")
        self.assertIn(str(os.getpid()), text)
        self.assertIn("45", text)
        with open(os.path.join(out, "lock"), "w", encoding="utf-8") as f:
            f.write(f"host {socket.gethostname()}\npid 1\npids 999999999:0\njob -\n")
        self.assertEqual(self.doctor(out)["lock"][0], "ok")

    def test_job(self):
        job, out = self.job("doctor")
        for ranks in (None, 2):
            found = self.doctor(job, ranks=ranks)
            self.assertEqual(found["job"][0], "ok")
            self.assertIn("the factors need", found["space"][1])
            self.assertIn("decomposing needs", found["memory"][1])
            self.assertIn(out, found["output"][1])
        self.assertFalse(os.path.exists(out))
        found = self.doctor(job, "--set", f"output={self.path('elsewhere')}")
        self.assertIn("elsewhere", found["output"][1])

    def test_standard_job(self):
        job, _ = self.job("lrpipe")
        self.assertIn("job", self.doctor())
        os.remove(job)
        self.assertNotIn("job", self.doctor())

    def test_bad_job(self):
        job, _ = self.job("doctor-bad")
        found = self.doctor(job, "--set", f"model={self.path('nowhere')}", code=66)
        self.assertEqual(found["job"][0], "bad")
        self.assertIn("nowhere", found["job"][1])
        self.assertEqual(found["BLAS build"][0], "ok")  # the others are told all the same
        self.doctor(self.path("no-such-job.yaml"), code=66)
        self.doctor(job, "--set", "decompose.method=lu", code=78)

    def test_too_large_job(self):
        model = self.path("huge-model")
        os.makedirs(model, exist_ok=True)
        config = lrp.read_json(self.model, "config.json")
        config.update(hidden_size=1 << 17, intermediate_size=1 << 18, num_hidden_layers=512,
                      num_attention_heads=128, num_key_value_heads=128)
        config.pop("head_dim", None)
        with open(os.path.join(model, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        job, _ = self.job("huge", configurations=[
            {"name": "x", "layers": "all", "tensors": "all", "rank": 1 << 16}])
        found = self.doctor(job, "--set", f"model={model}", code=71)
        for subject in ("memory", "space"):
            self.assertEqual(found[subject][0], "bad")
        self.assertIn("--map-by ppr", found["memory"][2])

    def test_help(self):
        self.assertIn("doctor", lrp.run(["--help"]).stdout)
        result = lrp.run(["doctor", "--ranks", "3"])
        self.assertEqual(result.returncode, 2)


if __name__ == "__main__":
    lrp.main()
