"""Every kind of model that is read: the same results with any number of process ranks, and what the
type of the evaluation changes."""

import json
import os
import re
import shutil
import unittest

import lrp

# Large enough that the products are those of oneDNN, not of small matrices.
BASE = ("--hidden", 256, "--intermediate", 512, "--layers", 2, "--heads", 8, "--vocab", 400,
        "--max-position", 128)
MODELS = {
    "llama3_gqa_f16": ("--kv-heads", 2, "--rope-scaling", "llama3", "--dtype", "float16",
                       "--shards", 3),
    "linear_bias_head_dim": ("--kv-heads", 4, "--head-dim", 20, "--rope-scaling", "linear",
                             "--attention-bias"),
    "bf16_tied": ("--kv-heads", 4, "--dtype", "bfloat16", "--tied"),
}
CONFIGURATIONS = [{"name": "dense"},
                  {"name": "r8", "layers": [1], "tensors": ["q_proj", "down_proj"], "rank": 8}]
NO_BF16 = {"DNNL_MAX_CPU_ISA": "AVX512_CORE"}


def processor_has_bf16():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return re.search(r"\b(avx512_bf16|amx_bf16)\b", f.read()) is not None


def needs_bf16(test):
    return unittest.skipUnless(processor_has_bf16(), "needs a processor with bf16 products")(test)


class Models(lrp.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = lrp.write_data(os.path.join(cls.folder, "few"), rows=6)
        cls.models = {name: lrp.synth_model(os.path.join(cls.folder, name), *BASE, *options)
                      for name, options in MODELS.items()}

    def evaluate(self, name, model, ranks=1, dtype="auto", env=None):
        """Run the job; returns its output."""
        out = self.path(f"{name}.{ranks}.{dtype}")
        job = lrp.job(model, out, self.data, configurations=CONFIGURATIONS)
        job["evaluate"]["dtype"] = dtype
        self.complete(lrp.write_job(out + ".yaml", job), ranks, env=env)
        return out

    def edited(self, model, name, **changes):
        """A copy of a model with another config.json."""
        copy = self.path(name)
        shutil.copytree(self.models[model], copy)
        path = os.path.join(copy, "config.json")
        config = lrp.read_json(path)
        config.update(changes)
        lrp.write_job(path, config)
        return copy

    def lls(self, output):
        return [float(r[0]) for c in CONFIGURATIONS for task in lrp.JOB["evaluate"]["tasks"]
                for sample in lrp.samples(output, c["name"], task)
                for r in sample["filtered_resps"]]

    def dtype(self, output):
        dtypes = {lrp.read_json(output, c["name"], "results.json")["config"]["model_args"]["dtype"]
                  for c in CONFIGURATIONS}
        self.assertEqual(len(dtypes), 1)
        return dtypes.pop()

    def test_ranks(self):
        for name, model in self.models.items():
            one = lrp.scores(self.evaluate(name, model))
            self.assertEqual(lrp.scores(self.evaluate(name, model, 4)), one, name)

    def test_scaling(self):
        for model in ("llama3_gqa_f16", "linear_bias_head_dim"):
            name = f"scaling_{model}"
            scaling = lrp.read_json(self.models[model], "config.json")["rope_scaling"]
            newer = self.edited(model, name + ".new", rope_scaling=None, rope_parameters=scaling)
            none = self.edited(model, name + ".none", rope_scaling=None)
            scaled = self.lls(self.evaluate(name, self.models[model]))
            self.assertEqual(self.lls(self.evaluate(name + ".n", newer)), scaled)
            self.assertNotEqual(self.lls(self.evaluate(name + ".0", none)), scaled)

    def test_window(self):
        """Mistral with a window shorter than the questions."""
        changes = {"architectures": ["MistralForCausalLM"], "rope_scaling": None}
        short = self.edited("bf16_tied", "short", sliding_window=5, **changes)
        whole = self.edited("bf16_tied", "whole", sliding_window=None, **changes)
        one = self.evaluate("short", short)
        self.assertEqual(lrp.scores(self.evaluate("short", short, 4)), lrp.scores(one))
        self.assertNotEqual(self.lls(self.evaluate("whole", whole)), self.lls(one))
        self.assertEqual(self.lls(self.path("whole.1.auto")),
                         self.lls(self.evaluate("as_llama", self.models["bf16_tied"])))

    @needs_bf16
    def test_bf16_is_close(self):
        for name, model in self.models.items():
            stored_so = name == "bf16_tied"
            exact = self.evaluate("exact_" + name, model, dtype="float32")
            auto = self.evaluate("auto_" + name, model)
            rounded = self.evaluate("rounded_" + name, model, 2, dtype="bfloat16")
            self.assertEqual(self.dtype(exact), "float32")
            self.assertEqual(self.dtype(auto), "bfloat16" if stored_so else "float32")
            self.assertEqual(self.dtype(rounded), "bfloat16")
            self.assertEqual(self.lls(auto), self.lls(rounded if stored_so else exact))
            differences = [abs(a - b) for a, b in zip(self.lls(exact), self.lls(rounded),
                                                      strict=True)]
            self.assertLess(max(differences), 0.2)
            self.assertGreater(max(differences), 1e-4)

    def test_processor_without_bf16(self):
        model = self.models["bf16_tied"]
        plain = self.evaluate("lesser", model, 2, env=NO_BF16)
        self.assertEqual(self.dtype(plain), "float32")
        job = lrp.job(model, self.path("refused"), self.data)
        job["evaluate"]["dtype"] = "bfloat16"
        result = lrp.run([lrp.write_job(self.path("refused.yaml"), job)], 2, env=NO_BF16)
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
        self.assertIn("evaluate.dtype: bfloat16: ", result.stderr)
        self.assertFalse(os.path.exists(self.path("refused")))

    @needs_bf16
    def test_results_of_one_type(self):
        """What was evaluated in one type is not continued in another."""
        out = self.evaluate("mixed", self.models["bf16_tied"])
        job = json.loads(lrp.read(out + ".yaml"))
        for dtype, words in (("float32", 'the job says "float32"'),
                             ("auto", 'auto means "float32" here')):
            job["evaluate"]["dtype"] = dtype
            result = lrp.run([lrp.write_job(self.path("mixed.yaml"), job)], 2, env=NO_BF16)
            self.assertEqual(result.returncode, 78, result.stderr)
            self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
            self.assertIn("evaluate.dtype: " + words, result.stderr)
            self.assertIn('"bfloat16"', result.stderr)


GOLDEN = os.path.join(lrp.SHARED, "data", "golden")


@unittest.skipUnless(os.path.isdir(GOLDEN), "needs the golden results, which are not part of a clone")
class GoldenInBf16(lrp.Case):
    TASKS = ["arc_easy", "arc_challenge", "hellaswag", "winogrande", "piqa"]

    @needs_bf16
    def test_metrics_within_one_standard_error(self):
        out = self.path("golden")
        job = {"model": os.path.join(lrp.SHARED, "data", "models", "stories260K"), "output": out,
               "configurations": [{"name": "dense"},
                                  {"name": "all_r16", "layers": "all", "tensors": "all",
                                   "rank": 16}],
               "evaluate": {"data": os.path.join(lrp.SHARED, "data", "bench"), "tasks": self.TASKS,
                            "limit": 40, "dtype": "bfloat16"}}
        self.complete(lrp.write_job(self.path("golden.yaml"), job))
        checked = 0
        for configuration in ("dense", "all_r16"):
            results = lrp.read_json(out, configuration, "results.json")["results"]
            for task in self.TASKS:
                name = f"stories260K.{task}.0shot.{configuration}.json"
                for metric, value in lrp.read_json(GOLDEN, name)["metrics"].items():
                    if not metric.startswith("acc") or metric.endswith("stderr"):
                        continue
                    error = results[task][metric + "_stderr,none"]
                    self.assertLessEqual(abs(results[task][metric + ",none"] - value), error,
                                         (task, configuration, metric))
                    checked += 1
        self.assertGreaterEqual(checked, 2 * len(self.TASKS))


if __name__ == "__main__":
    lrp.main()
