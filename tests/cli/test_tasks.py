"""Every task on small rows of our own making: documents, groups, columns, missing data."""

import json
import math
import os
import random
import unittest

import lrp

ALL = ["openbookqa", "boolq", "sciq", "truthfulqa_mc1", "truthfulqa_mc2", "lambada_openai",
       "wikitext", "token_perplexity"]


def rows_of(task, n):
    s = lrp.sentence
    if task == "openbookqa":
        return [{"question_stem": s(i, 6), "answerKey": "AB"[i % 2],
                 "choices": {"text": [s(i + 9, 3), s(i + 5, 4)], "label": ["A", "B"]}}
                for i in range(n)]
    if task == "boolq":
        return [{"passage": s(i, 20), "question": s(i + 3, 5), "label": i % 2} for i in range(n)]
    if task == "sciq":
        return [{"question": s(i, 5), "distractor1": s(i + 1, 2), "distractor2": s(i + 2, 2),
                 "distractor3": s(i + 4, 1), "correct_answer": s(i + 6, 2),
                 "support": s(i, 9) if i % 2 else ""} for i in range(n)]
    if task == "truthful_qa":
        return [{"question": s(i, 5) + "?",
                 "mc1_targets": {"choices": [s(i, 3), s(i + 7, 3)], "labels": [1, 0]},
                 "mc2_targets": {"choices": [s(i, 3), s(i + 7, 3), s(i + 8, 2)],
                                 "labels": [1, 0, 1]}} for i in range(n)]
    if task == "lambada_openai":
        return [{"text": s(i, 12)} for i in range(n)]
    if task == "wikitext":
        return [{"page": f" = {s(i, 2)} = \n {s(i, 150)} , {s(i + 1, 20 * i)} . \n"}
                for i in range(n)]
    raise KeyError(task)


def mmlu_rows(subject, n):
    s = lrp.sentence
    return [{"question": s(i + len(subject), 6), "subject": subject, "answer": i % 4,
             "choices": [s(i + c, 2) for c in range(4)]} for i in range(n)]


def write(folder, name, rows):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows)


FILES = {"openbookqa": "openbookqa/main/validation.jsonl",
         "boolq": "super_glue/boolq/validation.jsonl", "sciq": "sciq/validation.jsonl",
         "truthful_qa": "truthful_qa/multiple_choice/validation.jsonl",
         "lambada_openai": "lambada_openai/test.jsonl",
         "wikitext": "wikitext/wikitext-2-raw-v1/test.jsonl"}

STEM = """abstract_algebra anatomy astronomy college_biology college_chemistry
 college_computer_science college_mathematics college_physics computer_security conceptual_physics
 electrical_engineering elementary_mathematics high_school_biology high_school_chemistry
 high_school_computer_science high_school_mathematics high_school_physics high_school_statistics
 machine_learning""".split()
OTHER = """business_ethics clinical_knowledge college_medicine global_facts human_aging management
 marketing medical_genetics miscellaneous nutrition professional_accounting professional_medicine
 virology""".split()
SOCIAL = """econometrics high_school_geography high_school_government_and_politics
 high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality
 professional_psychology public_relations security_studies sociology us_foreign_policy""".split()
HUMANITIES = """formal_logic high_school_european_history high_school_us_history
 high_school_world_history international_law jurisprudence logical_fallacies moral_disputes
 moral_scenarios philosophy prehistory professional_law world_religions""".split()
GROUPS = {"mmlu_stem": STEM, "mmlu_other": OTHER, "mmlu_social_sciences": SOCIAL,
          "mmlu_humanities": HUMANITIES}


def columns(out):
    return lrp.read(out, "tradeoff.csv").splitlines()[0].split(",")


def bootstrap(ll):
    """The harness's: 100000 perplexities of resamples, 1000 from each generator."""
    values = []
    for chunk in range(100):
        draw = random.Random(chunk)
        values += [math.exp(-sum(draw.choices(ll, k=len(ll))) / len(ll)) for _ in range(1000)]
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


class Tasks(lrp.Case):
    MODEL = lrp.Case.MODEL[:-1] + (1024,)  # TruthfulQA's primer is long in this tokenizer

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for task, name in FILES.items():
            write(cls.data, name, rows_of(task, 6))
        subjects = STEM + OTHER + SOCIAL + HUMANITIES
        write(cls.data, "mmlu/test.jsonl",
              [row for i, s in enumerate(subjects) for row in mmlu_rows(s, 2 + i % 3)])

    def evaluate(self, name, tasks, data=None, ranks=2, configurations=None, **more):
        path, out = self.job(name, evaluate={"data": data or self.data, "tasks": tasks, **more},
                             configurations=configurations or [{"name": "dense"}])
        self.complete(path, ranks)
        return out

    def test_every_task_at_one_and_three_ranks(self):
        configurations = [{"name": "dense"},
                          {"name": "r1", "layers": [1], "tensors": "all", "rank": 1}]
        outputs = [self.evaluate(f"all{n}", ALL, ranks=n, configurations=configurations)
                   for n in (1, 3)]
        first, second = map(lrp.scores, outputs)
        self.assertEqual(first, second)
        for task in ALL:
            self.assertEqual(len(lrp.samples(outputs[0], "r1", task)),
                             first["r1"][task]["sample_len"])

    def test_a_text_is_the_sum_of_its_windows(self):
        out = self.evaluate("text", ["wikitext", "token_perplexity"], max_length=64)
        samples = lrp.samples(out, "dense", "wikitext")
        results = lrp.read_json(out, "dense", "results.json")["results"]
        total = words = 0
        for s in samples:
            self.assertGreater(len(s["windows"]), 2)
            ll = sum(float(w[0]) for w in s["windows"])
            self.assertAlmostEqual(float(s["resps"][0][0]), ll, places=9)
            total, words = total + ll, words + s["word_perplexity"][1]
            self.assertEqual(s["byte_perplexity"][1], len(s["doc"]["page"].encode()))
        self.assertTrue(math.isclose(results["wikitext"]["word_perplexity,none"],
                                     math.exp(-total / words), rel_tol=1e-9))
        self.assertEqual(results["wikitext"]["bits_per_byte_stderr,none"], "N/A")
        windows = lrp.samples(out, "dense", "token_perplexity")
        self.assertEqual(results["token_perplexity"]["tokens,none"], 63 * len(windows))
        self.assertEqual([c for c in columns(out) if "/" in c],
                         ["wikitext/word_perplexity", "wikitext/byte_perplexity",
                          "wikitext/bits_per_byte", "token_perplexity/token_perplexity",
                          "token_perplexity/nll_per_token"])

    def test_a_limit_counts_pages_and_windows(self):
        out = self.evaluate("limit", ["wikitext", "token_perplexity", "mmlu_anatomy"],
                            max_length=64, limit=2)
        for task in ("wikitext", "token_perplexity", "mmlu_anatomy"):
            self.assertEqual(len(lrp.samples(out, "dense", task)), 2)
        n = lrp.read_json(out, "dense", "results.json")["n-samples"]
        self.assertEqual(n["wikitext"], {"original": 6, "effective": 2})
        self.assertGreater(n["token_perplexity"]["original"], 2)

    def test_lambada_has_a_bootstrap_error(self):
        out = self.evaluate("lambada", ["lambada_openai"])
        r = lrp.read_json(out, "dense", "results.json")["results"]["lambada_openai"]
        samples = lrp.samples(out, "dense", "lambada_openai")
        ll = [float(s["resps"][0][0][0]) for s in samples]
        mean = sum(ll) / len(ll)
        self.assertTrue(math.isclose(r["perplexity,none"], math.exp(-mean), rel_tol=1e-12))
        self.assertTrue(math.isclose(r["perplexity_stderr,none"], bootstrap(ll), rel_tol=1e-9))
        for s in samples:
            self.assertEqual(s["target"], " " + s["doc"]["text"].split(" ")[-1])
            self.assertEqual(s["acc"], float(s["resps"][0][0][1] == "True"))

    def check_pooled(self, results, group, members):
        r = [results[m] for m in members]
        n = [x["sample_len"] for x in r]
        acc = sum(k * x["acc,none"] for k, x in zip(n, r)) / sum(n)
        var = sum((k - 1) * x["acc_stderr,none"] ** 2 * k for k, x in zip(n, r))
        error = math.sqrt(var / (sum(n) - len(n)) / sum(n))
        self.assertEqual(results[group]["sample_len"], sum(n))
        self.assertAlmostEqual(results[group]["acc,none"], acc, places=12)
        self.assertAlmostEqual(results[group]["acc_stderr,none"], error, places=12)

    def test_mmlu(self):
        out = self.evaluate("mmlu", ["piqa", "mmlu", "mmlu_virology"])
        root = lrp.read_json(out, "dense", "results.json")
        results = root["results"]
        for group, members in GROUPS.items():
            members = [f"mmlu_{m}" for m in members]
            self.assertEqual(root["group_subtasks"][group], members)
            self.check_pooled(results, group, members)
        self.check_pooled(results, "mmlu", [f"mmlu_{m}" for g in GROUPS.values() for m in g])
        self.assertEqual(root["group_subtasks"]["mmlu"], list(GROUPS))
        self.assertEqual(set(root["groups"]), {"mmlu", *GROUPS})
        self.assertEqual(len(results), 1 + 5 + 57)
        shown = [c for c in columns(out) if c.endswith("/acc")]
        self.assertEqual(shown, ["piqa/acc", "mmlu/acc", *(f"{g}/acc" for g in GROUPS),
                                 "mmlu_virology/acc"])
        names = [f for f in os.listdir(os.path.join(out, "dense")) if f.startswith("samples_mmlu")]
        self.assertEqual(len(names), 57)
        self.assertIn("already complete", self.complete(self.path("mmlu.yaml")).stdout)

        more = self.path("mmlu.yaml")  # other groups of the same tasks: only the report is new
        job = lrp.read_json(more)
        job["evaluate"]["tasks"] = ["piqa", "mmlu_stem", "mmlu_other"]
        lrp.write_job(more, job)
        self.complete(more)
        self.assertFalse(os.path.exists(os.path.join(out, "evaluation.2.h5")))
        self.assertEqual([c for c in columns(out) if c.endswith("/acc")],
                         ["piqa/acc", "mmlu_stem/acc", "mmlu_other/acc"])

    def test_a_folder_per_subject(self):
        data = self.path("folders")
        for i, s in enumerate(OTHER):
            write(data, f"mmlu/{s}/test.jsonl", mmlu_rows(s, 2 + i % 2))
        out = self.evaluate("folders", ["mmlu_other"], data=data)
        results = lrp.read_json(out, "dense", "results.json")["results"]
        self.assertEqual(len(results), 1 + len(OTHER))
        self.check_pooled(results, "mmlu_other", [f"mmlu_{m}" for m in OTHER])

        os.remove(os.path.join(data, "mmlu/virology/test.jsonl"))
        self.refused("folders-missing", ["mmlu_other"], data, 66, "mmlu/virology/test.jsonl")

    def refused(self, name, tasks, data, code, *parts):
        for ranks in (1, 3):
            path, _ = self.job(name, evaluate={"data": data, "tasks": tasks})
            result = lrp.run([path], ranks)
            self.assertEqual(result.returncode, code, result.stderr)
            lines = lrp.errors(result)
            self.assertEqual(len(lines), 1, result.stderr)
            for part in parts:
                self.assertIn(part, lines[0])

    def test_missing_data_names_the_file(self):
        empty = self.path("empty")
        os.makedirs(empty, exist_ok=True)
        self.refused("no-wikitext", ["wikitext"], empty, 66,
                     os.path.join(empty, "wikitext/wikitext-2-raw-v1/test.jsonl"))
        self.refused("no-sciq", ["sciq"], empty, 66, os.path.join(empty, "sciq/test.jsonl"),
                     os.path.join(empty, "sciq/validation.jsonl"))
        write(empty, "mmlu/test.jsonl", mmlu_rows("anatomy", 2))
        self.refused("no-subject", ["mmlu"], empty, 65, "abstract_algebra", "mmlu/test.jsonl")
        self.refused("no-task", ["mmlu_anatmy"], empty, 78, "did you mean 'mmlu_anatomy'?")
        self.refused("no-group", ["mmlu_stemm"], empty, 78, "did you mean 'mmlu_stem'?")


if __name__ == "__main__":
    lrp.main()
