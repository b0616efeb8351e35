"""BERT end to end: golden logits, the sweep of ranks, answers and masked tokens, any number of
process ranks, stopped runs, the tasks that a head can do."""

import json
import os
import struct
import time
import unittest

import lrp
import test_models

GOLDEN = os.path.join(lrp.SHARED, "data", "golden")
TINY = os.path.join(lrp.SHARED, "data", "models", "bert-tiny-sst2")
BENCH = os.path.join(lrp.SHARED, "data", "bench")
SWEEP = os.path.join(os.path.dirname(__file__), "..", "..", "jobs", "bert-sweep.yaml")
TENSORS = ["query", "key", "value", "attention.output", "intermediate", "output"]

needs_golden = unittest.skipUnless(os.path.isdir(GOLDEN),
                                   "needs the golden results, which are not part of a clone")


def read_safetensors(path):
    """name -> (dtype, shape, bytes)"""
    with open(path, "rb") as f:
        data = f.read()
    n, = struct.unpack("<Q", data[:8])
    start = 8 + n
    return {name: (t["dtype"], t["shape"],
                   data[start + t["data_offsets"][0]:start + t["data_offsets"][1]])
            for name, t in json.loads(data[8:start]).items() if name != "__metadata__"}


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(t[2] for t in tensors.values()))


def with_head(classifier, out, architecture, **config):
    """A copy of a classifier with the head of another class, made of what there is."""
    os.makedirs(out)
    for name in os.listdir(classifier):
        if name not in ("config.json", "model.safetensors"):
            with open(os.path.join(classifier, name), "rb") as f, \
                    open(os.path.join(out, name), "wb") as g:
                g.write(f.read())
    tensors = read_safetensors(os.path.join(classifier, "model.safetensors"))
    if architecture == "BertForQuestionAnswering":
        for part in ("weight", "bias"):
            tensors["qa_outputs." + part] = tensors.pop("classifier." + part)
            del tensors["bert.pooler.dense." + part]
    if architecture == "BertForMaskedLM":
        for part in ("weight", "bias"):
            head = "cls.predictions.transform."
            tensors[head + "dense." + part] = tensors.pop("bert.pooler.dense." + part)
            tensors[head + "LayerNorm." + part] = tensors["bert.embeddings.LayerNorm." + part]
            del tensors["classifier." + part]
        dtype, shape, data = tensors["bert.embeddings.word_embeddings.weight"]
        size = len(data) // (shape[0] * shape[1])
        tensors["cls.predictions.bias"] = (dtype, shape[:1], bytes(shape[0] * size))
    write_safetensors(os.path.join(out, "model.safetensors"), tensors)
    content = lrp.read_json(classifier, "config.json")
    content.update(architectures=[architecture], **config)
    if architecture == "BertForMaskedLM":
        del content["id2label"], content["label2id"]
    lrp.write_job(os.path.join(out, "config.json"), content)
    return out


def write_rows(directory, name, rows):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows)


def squad_rows(n):
    rows = []
    for i in range(n):
        context = lrp.sentence(i, 20 + 90 * (i % 4))
        words = context.split()
        rows.append({"id": str(i), "title": "t", "context": context,
                     "question": " " + lrp.sentence(i + 3, 5) + "?",
                     "answers": {"text": [" ".join(words[2:5])],
                                 "answer_start": [len(" ".join(words[:2])) + 1]}})
    return rows


def write_data(directory, rows=40):
    s = lrp.sentence
    for task in ("sst2", "cola"):
        write_rows(directory, f"glue/{task}/validation.jsonl",
                   [{"sentence": s(i, 2 + i % 9), "label": i % 2, "idx": i} for i in range(rows)])
    for task in ("mrpc", "rte"):
        write_rows(directory, f"glue/{task}/validation.jsonl",
                   [{"sentence1": s(i, 3 + i % 7), "sentence2": s(i + 5, 4 + i % 90),
                     "label": (i // 3) % 2, "idx": i} for i in range(rows)])
    write_rows(directory, "squad/validation.jsonl", squad_rows(rows))
    write_rows(directory, "wikitext/wikitext-2-raw-v1/test.jsonl",
               [{"page": f" = {s(i, 2)} = \n {s(i, 40)} , {s(i + 1, 30)} . \n"}
                for i in range(4)])
    return directory


CONFIGURATIONS = [
    {"name": "dense"},
    {"name": "l1_r1", "layers": [1], "tensors": "all", "rank": 1},
    {"name": "all_r4", "layers": "all", "tensors": "all", "rank": 4},
]
HEADS = {"BertForSequenceClassification": ["sst2", "mrpc", "cola", "rte"],
         "BertForQuestionAnswering": ["squad"],
         "BertForMaskedLM": ["pseudo_perplexity"]}
METRICS = {"sst2": ["acc"], "mrpc": ["acc", "f1", "combined"], "cola": ["mcc"], "rte": ["acc"],
           "squad": ["exact_match", "f1"],
           "pseudo_perplexity": ["pseudo_perplexity", "nll_per_token"]}


class Heads(lrp.Case):
    """Every head on small models of random weights."""

    MODEL = ("--arch", "bert", "--hidden", 32, "--intermediate", 48, "--layers", 3, "--heads", 4,
             "--vocab", 400, "--max-position", 384)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = write_data(os.path.join(cls.folder, "bert-data"))
        cls.models = {"BertForSequenceClassification": cls.model}
        for name in list(HEADS)[1:]:
            cls.models[name] = with_head(cls.model, os.path.join(cls.folder, name), name)

    def head_job(self, architecture, name, tasks=None, **evaluate):
        out = self.path(f"{architecture}.{name}")
        content = lrp.job(self.models[architecture], out, self.data,
                          configurations=CONFIGURATIONS)
        content["evaluate"]["tasks"] = tasks or HEADS[architecture]
        content["evaluate"].update(evaluate)
        return lrp.write_job(out + ".yaml", content), out

    def test_ranks(self):
        for architecture, tasks in HEADS.items():
            results = []
            for ranks in (1, 2, 4):
                job, out = self.head_job(architecture, f"np{ranks}")
                self.complete(job, ranks)
                results.append(lrp.scores(out))
            self.assertEqual(results[1], results[0], architecture)
            self.assertEqual(results[2], results[0], architecture)
            head = results[0]["tradeoff.csv"].splitlines()[0].split(",")
            for task in tasks:
                for metric in METRICS[task]:
                    self.assertIn(f"{task}/{metric}", head)
                    self.assertIn(metric + ",none", results[0]["dense"][task])
            self.check_sensitivity(out, architecture)

    def check_sensitivity(self, out, architecture):
        """Without choices a loss is 1 - score, of percents, too; masked tokens have neither."""
        tradeoff = lrp.read_json(out, "tradeoff.json")
        rows, sensitivity = tradeoff["configurations"], tradeoff["sensitivity"]
        if architecture == "BertForMaskedLM":
            self.assertIsNone(sensitivity)
            self.assertNotIn("score", rows[0])
            return
        self.assertEqual(sensitivity["measure"], "score")
        self.assertNotIn("choice_loss", rows[0])
        squad = architecture == "BertForQuestionAnswering"
        scored = [rows[0][task + ("/exact_match" if squad else "/acc")] / (100 if squad else 1)
                  for task in HEADS[architecture] if task != "cola"]
        self.assertAlmostEqual(rows[0]["score"], sum(scored) / len(scored), delta=1e-12)

    def test_killed_and_continued(self):
        """First a smaller job, then all of it, killed in the middle with other process ranks."""
        for architecture in HEADS:
            job, whole = self.head_job(architecture, "whole")
            start = time.monotonic()
            self.complete(job, 1)
            seconds = time.monotonic() - start
            job, out = self.head_job(architecture, "killed")
            result = lrp.run([job, "--set", "evaluate.tasks=" + HEADS[architecture][0],
                              "--set", "configurations=[{name: dense}]"], 2)
            self.assertEqual(result.returncode, 0, result.stderr)
            for i in range(3):
                lrp.kill_run([job], 1 + i % 3, (0.5 + 0.15 * i) * seconds)
            self.complete(job, 3)
            self.assertEqual(lrp.scores(out), lrp.scores(whole))
            self.assertIn("already complete", self.complete(job, 2).stdout)
            verified = lrp.run(["verify", out])
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
            self.assertIn("state      complete", lrp.run(["status", out]).stdout)

    def test_samples(self):
        job, out = self.head_job("BertForSequenceClassification", "samples", max_length=48)
        result = self.complete(job)
        self.assertIn("inputs are longer than their task's max_length", result.stderr)
        for sample in lrp.samples(out, "dense", "mrpc"):
            doc = sample["doc"]
            self.assertEqual(sample["target"], str(doc["label"]))
            self.assertEqual(sample["arguments"]["gen_args_0"]["arg_0"],
                             doc["sentence1"] + " [SEP] " + doc["sentence2"])
            self.assertEqual([a["arg_1"] for a in sample["arguments"].values()],
                             ["not_equivalent", "equivalent"])
            logits = [float(r[0]) for r in sample["filtered_resps"]]
            prediction = int(logits[1] > logits[0])
            self.assertEqual(sample["f1"], [doc["label"], prediction])
            self.assertEqual(sample["acc"], float(prediction == doc["label"]))
            self.assertEqual(sample["filtered_resps"][prediction][1], "True")
        configs = lrp.read_json(out, "dense", "results.json")["configs"]
        self.assertEqual(configs["mrpc"]["max_length"], 48)
        self.assertEqual(configs["mrpc"]["output_type"], "multiple_choice")

        job, out = self.head_job("BertForQuestionAnswering", "samples")
        self.complete(job)
        windows = 0
        for sample in lrp.samples(out, "dense", "squad"):
            best = max(sample["windows"], key=lambda w: float(w[0]))
            answer = sample["doc"]["context"][best[1]:best[2]]
            self.assertEqual(sample["filtered_resps"], [answer])
            self.assertLessEqual(len(answer.split()), 30)
            self.assertEqual(sample["target"], sample["doc"]["answers"]["text"][0])
            windows = max(windows, len(sample["windows"]))
        self.assertGreater(windows, 1)

        job, out = self.head_job("BertForMaskedLM", "samples", max_length=32, limit=3)
        self.complete(job)
        samples = lrp.samples(out, "dense", "pseudo_perplexity")
        self.assertEqual([len(s["resps"]) for s in samples], [30, 30, 30])
        nll = -sum(float(r[0]) for s in samples for r in s["filtered_resps"]) / 90
        results = lrp.read_json(out, "dense", "results.json")["results"]["pseudo_perplexity"]
        self.assertAlmostEqual(results["nll_per_token,none"], nll, places=9)
        self.assertEqual(results["tokens,none"], 90)

    def test_another_length_is_another_protocol(self):
        """512, say, is what the model has, but not what the task takes by itself."""
        job, out = self.head_job("BertForSequenceClassification", "own", ["sst2"])
        self.complete(job)
        self.assertIsNone(lrp.read_json(out, "dense", "results.json")["max_length"])
        for length in (384, 128):
            result = lrp.run([job, "--set", f"evaluate.max_length={length}"])
            self.assertEqual(result.returncode, 78, result.stderr)
            self.assertIn(f"evaluate.max_length: the job says {length}", result.stderr)

    @test_models.needs_bf16
    def test_bf16_is_close(self):
        for architecture in HEADS:
            outs = []
            for dtype in ("float32", "bfloat16"):
                job, out = self.head_job(architecture, dtype, dtype=dtype)
                self.complete(job)
                outs.append(lrp.samples(out, "dense", HEADS[architecture][0]))
            key = "windows" if architecture == "BertForQuestionAnswering" else "filtered_resps"
            differences = [abs(float(x[0]) - float(y[0])) for a, b in zip(*outs, strict=True)
                           for x, y in zip(a[key], b[key], strict=True)]
            self.assertLess(max(differences), 0.2, architecture)
            self.assertGreater(max(differences), 1e-6, architecture)

    def test_refused(self):
        """A task that the model has no head for: which ones it can do."""
        for architecture, tasks in HEADS.items():
            for task in ("sst2", "squad", "pseudo_perplexity", "arc_easy", "mmlu"):
                if task in tasks:
                    continue
                job, out = self.head_job(architecture, "refused", [task])
                result = lrp.run([job], 2)
                self.assertEqual(result.returncode, 78, result.stderr)
                self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
                self.assertIn(f"evaluate.tasks: {task}: a model of class {architecture}",
                              result.stderr)
                self.assertIn("tasks that it can do: " + ", ".join(tasks), result.stderr)
                self.assertFalse(os.path.exists(out))
        three = with_head(self.model, self.path("three"), "BertForSequenceClassification",
                          id2label={"0": "a", "1": "b", "2": "c"})
        tensors = read_safetensors(os.path.join(three, "model.safetensors"))
        for part in ("weight", "bias"):
            dtype, shape, data = tensors["classifier." + part]
            tensors["classifier." + part] = (dtype, [3] + shape[1:], data + data[:len(data) // 2])
        write_safetensors(os.path.join(three, "model.safetensors"), tensors)
        self.models["three"] = three
        job, out = self.head_job("three", "refused", ["sst2"])
        result = lrp.run([job])
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertIn("of 3 labels has no head for it; tasks that it can do: none", result.stderr)
        job, out = self.head_job("BertForSequenceClassification", "long", max_length=385)
        result = lrp.run([job])
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertIn("evaluate.max_length: 385", result.stderr)
        self.assertIn("384 positions", result.stderr)

    def test_mask_beyond_the_vocabulary(self):
        """No text has that id: the mask is put in later."""
        self.models["mask"] = model = with_head(self.model, self.path("mask"), "BertForMaskedLM")
        pieces = lrp.read(model, "vocab.txt").splitlines()
        pieces[pieces.index("[MASK]")] = "[unused]"
        pieces += [f"[unused{i}]" for i in range(len(pieces), 400)] + ["[MASK]"]
        with open(os.path.join(model, "vocab.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(pieces) + "\n")
        job, _ = self.head_job("mask", "refused", ["pseudo_perplexity"])
        result = lrp.run([job], 2)
        self.assertEqual(result.returncode, 65, result.stderr)
        self.assertIn(f"[MASK] the token id {len(pieces) - 1}, but", result.stderr)

    def test_other_rules_of_the_tokenizer(self):
        """A run does not go on with other tokens than it began with."""
        self.models["rules"] = model = with_head(self.model, self.path("rules"),
                                                 "BertForSequenceClassification")
        job, _ = self.head_job("rules", "out", ["sst2"])
        self.complete(job)
        lrp.write_job(os.path.join(model, "tokenizer_config.json"), {"do_lower_case": False})
        result = lrp.run([job])
        self.assertEqual(result.returncode, 65, result.stderr)
        self.assertIn("its tokenizer is not the one", result.stderr)

    def test_labels_in_another_order(self):
        """Names of the labels in config.json say which output is which."""
        job, out = self.head_job("BertForSequenceClassification", "plain", ["sst2"])
        self.complete(job)
        self.models["swapped"] = with_head(
            self.model, self.path("swapped"), "BertForSequenceClassification",
            id2label={"0": "Positive", "1": "Negative"})
        job, swapped = self.head_job("swapped", "plain", ["sst2"])
        self.complete(job)
        for a, b in zip(lrp.samples(out, "dense", "sst2"), lrp.samples(swapped, "dense", "sst2"),
                        strict=True):
            self.assertEqual(a["resps"], b["resps"][::-1])

    def test_bare_model_is_decomposed(self):
        tensors = read_safetensors(os.path.join(self.model, "model.safetensors"))
        bare = self.path("bare")
        os.makedirs(bare)
        write_safetensors(os.path.join(bare, "model.safetensors"),
                          {n.removeprefix("bert."): t for n, t in tensors.items()
                           if not n.startswith("classifier.")})
        content = lrp.read_json(self.model, "config.json")
        content["architectures"] = ["BertModel"]
        lrp.write_job(os.path.join(bare, "config.json"), content)
        content = lrp.job(bare, self.path("bare.out"), None, configurations=CONFIGURATIONS)
        del content["evaluate"]
        self.complete(lrp.write_job(self.path("bare.yaml"), content))
        table = lrp.read(self.path("bare.out"), "tensors.csv")
        self.assertIn("\nencoder.layer.1.attention.self.query.weight,32,32,4,", table)
        self.assertEqual(len(table.splitlines()), 1 + 3 * 6)


@needs_golden
class Golden(unittest.TestCase):
    CONFIGURATIONS = [{"name": "dense"},
                      {"name": "l1_r1", "layers": [1], "tensors": "all", "rank": 1},
                      {"name": "all_r16", "layers": "all", "tensors": "all", "rank": 16}]

    @classmethod
    def setUpClass(cls):
        cls.folder = lrp.tempfile.mkdtemp(prefix="lrpipe-bert-")
        cls.outs = {method: cls.run_job(method) for method in ("tucker", "svd")}

    @classmethod
    def tearDownClass(cls):
        lrp.shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def run_job(cls, method):
        out = os.path.join(cls.folder, method)
        job = {"model": TINY, "output": out, "decompose": {"method": method},
               "configurations": cls.CONFIGURATIONS,
               "evaluate": {"data": BENCH, "tasks": ["sst2"], "max_length": 64}}
        result = lrp.run([lrp.write_job(out + ".yaml", job)], 2)
        assert result.returncode == 0, result.stderr
        return out

    def test_logits(self):
        for out in self.outs.values():
            for c in self.CONFIGURATIONS:
                golden = lrp.read_json(
                    GOLDEN, f"bert-tiny-sst2-fhe-hybrid.sst2.0shot.{c['name']}.json")["samples"]
                samples = lrp.samples(out, c["name"], "sst2")
                self.assertEqual(len(samples), 872)
                self.assertEqual(len(golden), 100)
                for mine, theirs in zip(samples, golden):
                    self.assertEqual(mine["acc"], theirs["metrics"]["acc"])
                    for r, logit in zip(mine["filtered_resps"], theirs["logits"], strict=True):
                        self.assertLess(abs(float(r[0]) - logit), 1e-4)

    def test_own_golden_file(self):
        golden = lrp.read_json(TINY, "golden.json")["first20"]
        samples = lrp.samples(self.outs["tucker"], "dense", "sst2")
        for mine, theirs in zip(samples, golden):
            self.assertEqual(mine["doc"]["sentence"], theirs["sentence"])
            for r, logit in zip(mine["filtered_resps"], theirs["logits"], strict=True):
                self.assertLess(abs(float(r[0]) - logit), 1e-4)

    def test_accuracy(self):
        for out in self.outs.values():
            results = lrp.read_json(out, "dense", "results.json")
            self.assertEqual(results["results"]["sst2"]["acc,none"], 690 / 872)
            self.assertEqual(results["n-samples"]["sst2"], {"original": 872, "effective": 872})
            self.assertEqual(results["configs"]["sst2"]["max_length"], 64)

    def test_sizes_and_errors(self):
        rows = [r.split(",") for r in lrp.read(self.outs["tucker"], "tensors.csv").splitlines()]
        errors = {r[0]: (int(r[3]), float(r[5])) for r in rows[1:]}
        golden = lrp.read_json(GOLDEN, "bert-tiny-sst2-fhe-hybrid.all_r16.decomposition.json")
        self.assertEqual(len(golden["tensors"]), 12)
        for t in golden["tensors"]:
            rank, error = errors[t["tensor"]]
            self.assertEqual(rank, 16)
            self.assertLess(abs(error - t["rel_error"]), 1e-6, t["tensor"])
        for row in lrp.read_json(self.outs["tucker"], "tradeoff.json")["configurations"][1:]:
            name = f"bert-tiny-sst2-fhe-hybrid.{row['configuration']}.decomposition.json"
            golden = lrp.read_json(GOLDEN, name)
            self.assertEqual(row["parameters"], golden["params_after"])
            self.assertLess(abs(row["reduction_percent"] - golden["reduction_percent"]), 1e-9)


@needs_golden
class Sweep(unittest.TestCase):
    """jobs/bert-sweep.yaml, in one command."""

    def setUp(self):
        self.folder = lrp.tempfile.mkdtemp(prefix="lrpipe-bert-")
        self.addCleanup(lrp.shutil.rmtree, self.folder, ignore_errors=True)

    def sweep(self, ranks):
        out = os.path.join(self.folder, f"np{ranks}")
        result = lrp.run([SWEEP, "--set", "model=" + TINY, "--set", "output=" + out,
                          "--set", "evaluate.data=" + BENCH, "--set", "evaluate.max_length=64"],
                         ranks, timeout=800)
        self.assertEqual(result.returncode, 0, result.stderr)
        return out

    def test_accuracy_falls_with_the_rank(self):
        out = self.sweep(1)
        self.assertEqual(lrp.scores(self.sweep(2)), lrp.scores(out))
        rows = {r["configuration"]: r
                for r in lrp.read_json(out, "tradeoff.json")["configurations"]}
        self.assertEqual(len(rows), 29)
        acc = {name: row["sst2/acc"] for name, row in rows.items()}
        self.assertEqual(acc["dense"], 690 / 872)
        two_errors = 2 * rows["dense"]["sst2/acc_stderr"]
        self.assertLess(abs(acc["all-r64"] - acc["dense"]), two_errors)
        self.assertLess(acc["all-r1"], acc["dense"] - 5 * two_errors)
        for tensors in ["all"] + TENSORS:
            steps = [rows[f"{tensors}-r{r}"] for r in (1, 4, 16, 64)]
            for low, high in zip(steps, steps[1:]):
                self.assertGreater(low["reduction_percent"], high["reduction_percent"])
                self.assertLess(low["sst2/acc"], high["sst2/acc"] + two_errors)
        for tensors in ("all", "query", "key", "value", "attention.output"):
            self.assertLess(acc[f"{tensors}-r1"], acc[f"{tensors}-r64"] - two_errors, tensors)
        for tensor in TENSORS:
            self.assertGreaterEqual(acc[f"{tensor}-r1"], acc["all-r1"])


if __name__ == "__main__":
    lrp.main()
