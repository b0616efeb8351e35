"""An output belongs to its model: changed weights are refused, touched ones are read and compared."""

import json
import os
import shutil
import time
import unittest

import lrp

NONE = {"data": None, "tasks": []}


class Identity(lrp.Case):
    MODEL = (*lrp.Case.MODEL, "--shards", 2)

    def setUp(self):
        """A model, an output, and a complete run."""
        self.copy = self.path("copy")
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.model, self.copy)
        self.out = self.path("identity.out")
        self.job_file = lrp.write_job(self.path("identity.yaml"),
                                      lrp.job(self.copy, self.out, None, evaluate=NONE))
        shutil.rmtree(self.out, ignore_errors=True)
        self.complete(self.job_file, 2)
        self.weights = os.path.join(self.copy, "model-00002-of-00002.safetensors")

    def change(self, at=-3):
        """One byte, with the times put back."""
        before = os.stat(self.weights)
        with open(self.weights, "r+b") as f:
            f.seek(at, os.SEEK_END)
            old = f.read(1)
            f.seek(at, os.SEEK_END)
            f.write(bytes([old[0] ^ 1]))
        os.utime(self.weights, ns=(before.st_atime_ns, before.st_mtime_ns))

    def refused(self, code, *words, ranks=(1, 2, 3)):
        """With this message, and nothing in the output is changed."""
        digests = lrp.digests(self.out)
        for n in ranks:
            result = lrp.run([self.job_file], n)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
            for word in words:
                self.assertIn(word, lrp.errors(result)[0])
        self.assertEqual(lrp.digests(self.out), digests)

    def model_json(self):
        return lrp.read_json(self.out, "model.json")

    def rewrite(self, change):
        content = self.model_json()
        change(content)
        lrp.write_job(os.path.join(self.out, "model.json"), content)

    def test_every_tensor_is_known_after_a_run(self):
        files = self.model_json()["files"]
        self.assertEqual([f["file"][:11] for f in files], ["model-00001", "model-00002"])
        self.assertEqual(files[1]["bytes"], os.path.getsize(self.weights))
        self.assertEqual(files[1]["mtime_ns"], os.stat(self.weights).st_mtime_ns)
        for f in files:
            for tensor, xxh3 in f["tensors_xxh3"].items():
                self.assertRegex(xxh3, "^[0-9a-f]{16}$", tensor)
        with open(os.path.join(self.out, "model.json"), encoding="utf-8") as f:
            before = f.read()
        shutil.rmtree(self.out)
        self.complete(self.job_file, 3)
        self.assertEqual(lrp.read(self.out, "model.json"), before, "whatever the process ranks")

    def test_one_changed_byte_is_refused(self):
        self.change()
        self.refused(65, "copy/model-00002", "tensor lm_head.weight")
        self.change()  # and back
        self.assertIn("already complete", self.complete(self.job_file).stdout)

    def test_touched_files_are_compared_once(self):
        os.utime(self.weights)
        result = self.complete(self.job_file, 2)
        self.assertIn("already complete", result.stdout)
        self.assertIn("read and compared", result.stderr)
        result = self.complete(self.job_file, 2)
        self.assertNotIn("read and compared", result.stderr)

    def test_another_header_is_refused_at_once(self):
        first = os.path.join(self.copy, "model-00001-of-00002.safetensors")
        with open(first, "rb") as f:
            n = int.from_bytes(f.read(8), "little")
            header, data = json.loads(f.read(n)), f.read()
        header["__metadata__"] = {"note": "another"}
        text = json.dumps(header).encode()
        with open(first, "wb") as f:
            f.write(len(text).to_bytes(8, "little") + text + data)
        self.refused(65, "model-00001", "restore the model", ranks=(2,))

    def test_without_hashes_nothing_is_proved(self):
        def forget(content):
            tensors = content["files"][1]["tensors_xxh3"]
            tensors[next(iter(tensors))] = None
        self.rewrite(forget)
        self.assertIn("already complete", self.complete(self.job_file).stdout)  # learnt again
        self.assertNotIn(None, self.model_json()["files"][1]["tensors_xxh3"].values())
        self.rewrite(forget)
        os.utime(self.weights)
        self.refused(65, "model.json", "cannot be proved", ranks=(2,))

    def test_a_lost_or_broken_file_proves_nothing(self):
        path = os.path.join(self.out, "model.json")
        with open(path, "w", encoding="utf-8") as f:
            f.write("{")
        self.refused(65, "model.json", ranks=(2,))
        os.remove(path)
        self.refused(65, "model.json", "absent", ranks=(2,))

    def test_an_output_without_ledgers_takes_any_model(self):
        os.remove(os.path.join(self.out, "factors.h5"))
        self.change()
        self.complete(self.job_file, 2)

    def test_a_stopped_run_keeps_what_it_has_read(self):
        shutil.rmtree(self.out)
        result = lrp.run([self.job_file, "--max-time", "0.01"], 2)
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertEqual(len(self.model_json()["files"]), 2)
        time.sleep(0.01)
        self.complete(self.job_file, 2)
        for f in self.model_json()["files"]:
            self.assertNotIn(None, f["tensors_xxh3"].values())


if __name__ == "__main__":
    lrp.main()
