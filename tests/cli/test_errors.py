"""Every failure is one message and an exit code, on one process rank and on several."""

import json
import os
import shutil
import struct
import unittest

import lrp


class Errors(lrp.Case):
    def broken(self, name):
        """A copy of the model to break."""
        path = self.path(name)
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.model, path)
        return path

    def fails(self, code, *words, job=None, args=(), ranks=(1, 3), **changes):
        """The job fails with that exit code and one message that has all the words."""
        if job is None:
            changes.setdefault("model", self.model)
            content = lrp.job(changes.pop("model"), self.path("errors.out"), self.data, **changes)
            job = lrp.write_job(self.path("errors.yaml"), content)
        for n in ranks:
            result = lrp.run([job, *args], n, timeout=60)
            self.assertEqual(result.returncode, code, result.stderr)
            messages = lrp.errors(result)
            self.assertEqual(len(messages), 1, result.stderr)
            for word in words:
                self.assertIn(word, messages[0])
        self.assertFalse(os.path.exists(os.path.join(self.path("errors.out"), "lock")))

    def configuration(self, **keys):
        return [{"name": "x", **keys}]

    def test_job_file(self):
        self.fails(66, "nothing.yaml", job=self.path("nothing.yaml"))
        bad = self.path("bad.yaml")
        with open(bad, "w", encoding="utf-8") as f:
            f.write("model: a\noutput: b\nconfigurashuns:\n  - {name: dense}\n")
        self.fails(78, "bad.yaml:3", "configurashuns", "configurations", job=bad)
        with open(bad, "w", encoding="utf-8") as f:
            f.write("model: [unclosed\n")
        self.fails(78, "bad.yaml", job=bad)

    def test_values(self):
        c = self.configuration
        self.fails(78, "layer", configurations=c(layers=[7], rank=1))
        self.fails(78, "q_prj", "q_proj", configurations=c(layers=[1], tensors=["q_prj"], rank=1))
        self.fails(78, "rank", configurations=c(layers=[1], rank=0))
        self.fails(78, "rank", configurations=c(layers=[1], rank=1.5))
        self.fails(78, "ratio", configurations=c(layers=[1], ratio=1.5))
        self.fails(78, "energy", configurations=c(layers=[1], energy=0))
        self.fails(78, "name", configurations=[{"name": "../x"}])
        self.fails(78, "arc_esay", "arc_easy",
                   evaluate={"data": self.data, "tasks": ["arc_esay"]})
        self.fails(78, "decompose.method", args=("--set", "decompose.method=lu"))
        self.fails(78, "decompose.methd", "method", args=("--set", "decompose.methd=svd"))

    def test_rank_above_the_shape_is_capped_with_a_warning(self):
        job, out = self.job("capped", configurations=self.configuration(layers=[1], rank=1000))
        result = self.complete(job, 2)
        self.assertIn("lrpipe: warning:", result.stderr)
        self.assertIn(",32,", lrp.read(out, "tensors.csv"))

    def test_model(self):
        self.fails(66, "nowhere", model=self.path("nowhere"))
        model = self.broken("no-config")
        os.remove(os.path.join(model, "config.json"))
        self.fails(66, "config.json", model=model)
        model = self.broken("no-weights")
        os.remove(os.path.join(model, "model.safetensors"))
        self.fails(66, "model.safetensors", model=model)
        with open(os.path.join(model, "pytorch_model.bin"), "wb") as f:
            f.write(b"PK")
        self.fails(66, "pickle", model=model)
        model = self.broken("no-tokenizer")
        os.remove(os.path.join(model, "tokenizer.model"))
        self.fails(66, "tokenizer.model", model=model)

    def test_config(self):
        for key, value in (("architectures", ["GPT9ForCausalLM"]), ("hidden_size", 0),
                           ("hidden_size", "big"), ("num_attention_heads", 5),
                           ("num_key_value_heads", 3), ("hidden_act", "tanh")):
            model = self.broken("bad-config")
            config = lrp.read_json(model, "config.json")
            config[key] = value
            lrp.write_job(os.path.join(model, "config.json"), config)
            shown = value[0] if isinstance(value, list) else value
            self.fails(65, key, str(shown), model=model, ranks=(2,))
        with open(os.path.join(model, "config.json"), "w", encoding="utf-8") as f:
            f.write('{"architectures": ')
        self.fails(65, "config.json", model=model)

    def rewrite(self, model, change):
        """change(header, data) -> (header bytes, data) of the weight file."""
        path = os.path.join(model, "model.safetensors")
        with open(path, "rb") as f:
            raw = f.read()
        n = struct.unpack("<Q", raw[:8])[0]
        header, data = change(json.loads(raw[8:8 + n]), bytearray(raw[8 + n:]))
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + data)

    def test_weights(self):
        model = self.broken("truncated")
        path = os.path.join(model, "model.safetensors")
        os.truncate(path, os.path.getsize(path) - 1)
        self.fails(65, "model.safetensors", model=model)
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", 1 << 63) + b"{}")
        self.fails(65, "model.safetensors", model=model)
        with open(path, "w", encoding="utf-8") as f:
            f.write("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 13\n")
        self.fails(65, "LFS", model=model)

    def test_shapes(self):
        name = "model.layers.1.mlp.up_proj.weight"

        def transpose(header, data):
            header[name]["shape"].reverse()
            return json.dumps(header).encode(), data

        def remove(header, data):
            header["other"] = header.pop(name)
            return json.dumps(header).encode(), data

        for change in (transpose, remove):
            model = self.broken("shapes")
            self.rewrite(model, change)
            self.fails(65, name, model=model)

    def test_not_finite(self):
        for value in (float("nan"), float("inf")):
            for name in ("model.layers.1.mlp.up_proj.weight", "model.norm.weight"):
                def put(header, data):
                    at = header[name]["data_offsets"][0] + 4 * 5
                    data[at:at + 4] = struct.pack("<f", value)
                    return json.dumps(header).encode(), data

                model = self.broken("not-finite")
                self.rewrite(model, put)
                shutil.rmtree(self.path("errors.out"), ignore_errors=True)  # it was of another model
                self.fails(65, name, "5]", model=model, ranks=(1, 3, 4))

    def test_the_first_of_several_is_named(self):
        """First in the model's order, not in the file's or that of decomposing."""
        names = ("model.norm.weight", "model.layers.2.mlp.down_proj.weight",
                 "model.layers.1.self_attn.o_proj.weight", "model.layers.1.self_attn.k_proj.weight")

        def put(header, data):
            for name in names:
                at = header[name]["data_offsets"][0] + 4 * 7
                data[at:at + 4] = struct.pack("<f", float("nan"))
            return json.dumps(header).encode(), data

        model = self.broken("several")
        self.rewrite(model, put)
        for ranks in (1, 2, 4):
            shutil.rmtree(self.path("errors.out"), ignore_errors=True)
            self.fails(65, names[-1], model=model, ranks=(ranks,))

    def test_data(self):
        self.fails(66, "piqa/validation.jsonl",
                   evaluate={"data": self.path("nodata"), "tasks": ["piqa"]})
        data = self.path("bad-data")
        lrp.write_data(data)
        path = os.path.join(data, "piqa", "validation.jsonl")
        good = lrp.read(path).splitlines()
        for bad in ('{"goal": "x", "sol1"', '{"goal": "x", "sol1": "a", "sol2": "b"}',
                    '{"goal": "x", "sol1": "a", "sol2": "b", "label": 2}', "[1]"):
            with open(path, "w", encoding="utf-8") as f:
                f.write("\n".join([*good[:4], bad, *good[4:]]) + "\n")
            self.fails(65, "validation.jsonl:5", evaluate={"data": data, "tasks": ["piqa"]})

    def test_output(self):
        blocked = self.path("blocked")
        with open(blocked, "w", encoding="utf-8") as f:
            f.write("a file")
        content = lrp.job(self.model, os.path.join(blocked, "out"), self.data)
        self.fails(73, "blocked", job=lrp.write_job(self.path("blocked.yaml"), content))
        before = sorted(os.listdir(self.model))
        self.fails(78, "output", args=("--set", f"output={self.model}"))
        self.assertEqual(sorted(os.listdir(self.model)), before)

    def test_usage(self):
        for args in (["--nonsense"], ["run", "a", "b"], ["plan", "--ranks", "x", "j.yaml"]):
            for ranks in (None, 3):
                result = lrp.run(args, ranks)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
        result = lrp.run(["--help"])
        self.assertEqual(result.returncode, 0)
        self.assertIn("--set", result.stdout)
        self.assertRegex(lrp.run(["--version"]).stdout, r"^lrpipe \d+\.\d+\.\d+\n$")

    def test_commands_on_no_output(self):
        for name in ("status", "verify", "inspect"):
            result = lrp.run([name, self.path("nothing-here")])
            self.assertEqual(result.returncode, 66, result.stderr)
            self.assertEqual(len(lrp.errors(result)), 1, result.stderr)


if __name__ == "__main__":
    lrp.main()
