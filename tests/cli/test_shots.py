"""Few-shot evaluation: what is drawn, against Python's own random; suites; what an output refuses."""

import json
import os
import random
import unittest

import lrp
from test_tasks import HUMANITIES, OTHER, SOCIAL, STEM, mmlu_rows, rows_of, write

SUBJECTS = STEM + OTHER + SOCIAL + HUMANITIES


def arc_rows(prefix, n):
    return [{"id": f"{prefix}{i}", "question": f"{prefix} {lrp.sentence(i, 5)}?",
             "choices": {"text": [lrp.sentence(i + 10 * c, 2) for c in range(4)],
                         "label": list("ABCD")}, "answerKey": "ABCD"[i % 4]} for i in range(n)]


def winogrande_rows(n):
    return [{"sentence": f"{lrp.sentence(i, 4)} _ {lrp.sentence(i + 3, 3)}.", "option1": "Ann",
             "option2": "Bob", "answer": "12"[i % 2]} for i in range(n)]


def hellaswag_rows(n):
    return [{"activity_label": "Chess", "ctx_a": lrp.sentence(i, 5) + ".", "ctx_b": "",
             "endings": [lrp.sentence(i + c, 3) for c in range(4)], "label": str(i % 4)}
            for i in range(n)]


def gsm8k_rows(n):
    return [{"question": lrp.sentence(i, 4) + "?", "answer": f"It is <<{i}={i}>>.\n#### {i}"}
            for i in range(n)]


def piqa_text(row):
    return f"Question: {row['goal']}\nAnswer:"


def piqa_shot(row):
    return f"{piqa_text(row)} {row[('sol1', 'sol2')[row['label']]]}\n\n"


def arc_text(row):
    return f"Question: {row['question']}\nAnswer:"


def arc_shot(row):
    right = row["choices"]["label"].index(row["answerKey"])
    return f"{arc_text(row)} {row['choices']['text'][right]}\n\n"


def mmlu_text(row):
    letters = "".join(f"{letter}. {c}\n" for letter, c in zip("ABCD", row["choices"]))
    return f"{row['question']}\n{letters}Answer:"


def mmlu_shot(row):
    return f"{mmlu_text(row)} {'ABCD'[row['answer']]}\n\n"


def read_rows(*path):
    return [json.loads(line) for line in lrp.read(*path).splitlines()]


class Shots(lrp.Case):
    MODEL = lrp.Case.MODEL[:-1] + (1024,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        write(cls.data, "ai2_arc/ARC-Easy/train.jsonl", arc_rows("t", 40))
        write(cls.data, "ai2_arc/ARC-Challenge/test.jsonl", arc_rows("c", 3))
        write(cls.data, "ai2_arc/ARC-Challenge/train.jsonl", arc_rows("d", 30))
        write(cls.data, "hellaswag/validation.jsonl", hellaswag_rows(3))
        write(cls.data, "hellaswag/train.jsonl", hellaswag_rows(12))
        write(cls.data, "winogrande/winogrande_xl/validation.jsonl", winogrande_rows(3))
        write(cls.data, "winogrande/winogrande_xl/train.jsonl", winogrande_rows(8))
        write(cls.data, "truthful_qa/multiple_choice/validation.jsonl", rows_of("truthful_qa", 3))
        write(cls.data, "gsm8k/main/test.jsonl", gsm8k_rows(2))
        write(cls.data, "gsm8k/main/train.jsonl", gsm8k_rows(9))
        write(cls.data, "mmlu/test.jsonl",
              [row for i, s in enumerate(SUBJECTS) for row in mmlu_rows(s, 2 + i % 2)])
        write(cls.data, "mmlu/dev.jsonl", [row for s in SUBJECTS for row in mmlu_rows(s, 5)])

    def evaluate(self, name, tasks, *args, ranks=2, **more):
        path, out = self.job(name, evaluate={"data": self.data, "tasks": tasks, **more},
                             configurations=[{"name": "dense"}])
        return out, self.complete(path, ranks, *args)

    def contexts(self, out, task):
        return [[a["arg_0"] for a in s["arguments"].values()]
                for s in lrp.samples(out, "dense", task)]

    def test_draws_are_those_of_python(self):
        tasks = [{"name": "arc_easy", "num_fewshot": 7}, "piqa",
                 {"name": "mmlu_anatomy", "num_fewshot": 5}]
        out, _ = self.evaluate("draws", tasks, num_fewshot=2)
        draw = random.Random(1234)
        train = read_rows(self.data, "ai2_arc/ARC-Easy/train.jsonl")
        test = read_rows(self.data, "ai2_arc/ARC-Easy/test.jsonl")
        for row, got in zip(test, self.contexts(out, "arc_easy"), strict=True):
            expected = "".join(map(arc_shot, draw.sample(train, 7))) + arc_text(row)
            self.assertEqual(got, [expected] * 4)

        draw = random.Random(1234)
        rows = read_rows(self.data, "piqa/validation.jsonl")
        for row, got in zip(rows, self.contexts(out, "piqa"), strict=True):
            shots = [s for s in draw.sample(rows, 3) if s != row][:2]
            self.assertEqual(got, ["".join(map(piqa_shot, shots)) + piqa_text(row)] * 2)

        head = "The following are multiple choice questions (with answers) about anatomy.\n\n"
        shots = "".join(map(mmlu_shot, mmlu_rows("anatomy", 5)))
        for got in self.contexts(out, "mmlu_anatomy"):
            self.assertTrue(got[0].startswith(head + shots))
            self.assertEqual(got[0].count("Answer:"), 6)
        results = lrp.read_json(out, "dense", "results.json")
        self.assertEqual(results["n-shot"], {"arc_easy": 7, "piqa": 2, "mmlu_anatomy": 5})
        configs = results["configs"]
        self.assertEqual(configs["arc_easy"]["fewshot_split"], "train")
        self.assertEqual(configs["piqa"]["fewshot_split"], "validation")
        self.assertEqual(configs["piqa"]["fewshot_config"], {"sampler": "default"})
        self.assertEqual(configs["mmlu_anatomy"]["fewshot_config"], {"sampler": "first_n"})

        limited, _ = self.evaluate("limited", tasks, num_fewshot=2, limit=2, ranks=3)
        for task in ("arc_easy", "piqa", "mmlu_anatomy"):
            self.assertEqual(lrp.samples(limited, "dense", task),
                             lrp.samples(out, "dense", task)[:2])

    def test_an_output_keeps_its_shots(self):
        data = lrp.write_data(self.path("own"))
        write(data, "ai2_arc/ARC-Easy/train.jsonl", arc_rows("t", 9))

        def run(*tasks):
            path, _ = self.job("keeps", evaluate={"data": data, "tasks": list(tasks)},
                               configurations=[{"name": "dense"}])
            return lrp.run([path], 2)

        def refused(result, code, part):
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertEqual(len(lrp.errors(result)), 1)
            self.assertIn(part, lrp.errors(result)[0])

        two = {"name": "arc_easy", "num_fewshot": 2}
        self.assertEqual(run(two).returncode, 0)
        self.assertIn("already complete", run(two).stdout)
        refused(run("arc_easy"), 78, "arc_easy: num_fewshot: the job says 0, ")
        refused(run({"name": "arc_easy", "num_fewshot": 3}), 78, "was made with 2;")
        self.assertEqual(run(two, {"name": "piqa", "num_fewshot": 1}).returncode, 0)
        refused(run(two, "piqa"), 78, "piqa: num_fewshot: the job says 0, ")
        write(data, "ai2_arc/ARC-Easy/train.jsonl", arc_rows("u", 9))
        refused(run(two), 65, "has changed")

    def check_average(self, out, suite, values, results):
        group = results["groups"][suite]
        self.assertEqual(list(group["members"]), [name for name, _ in values])
        for name, value in values:
            self.assertAlmostEqual(group["members"][name], value, places=14)
        mean = sum(v for _, v in values) / len(values)
        self.assertAlmostEqual(group["average,none"], mean, places=14)
        self.assertEqual(group, results["results"][suite])
        head, row = (line.split(",") for line in lrp.read(out, "tradeoff.csv").splitlines())
        self.assertAlmostEqual(float(row[head.index(f"{suite}/average")]), mean, places=14)
        self.assertEqual(head[head.index("score") - 1], f"{suite}/average")

    def test_openllm(self):
        out, _ = self.evaluate("openllm", ["openllm"], num_fewshot=3)
        results = lrp.read_json(out, "dense", "results.json")
        r, shots = results["results"], results["n-shot"]
        self.assertEqual([shots[t] for t in ("arc_challenge", "hellaswag", "mmlu_virology",
                                             "truthfulqa_mc2", "winogrande", "gsm8k")],
                         [25, 10, 5, 0, 5, 5])
        subjects = [r[f"mmlu_{s}"]["acc,none"] for s in SUBJECTS]
        self.check_average(out, "openllm", [
            ("arc_challenge/acc_norm", r["arc_challenge"]["acc_norm,none"]),
            ("hellaswag/acc_norm", r["hellaswag"]["acc_norm,none"]),
            ("mmlu/acc", sum(subjects) / len(subjects)),
            ("truthfulqa_mc2/acc", r["truthfulqa_mc2"]["acc,none"]),
            ("winogrande/acc", r["winogrande"]["acc,none"]),
            ("gsm8k/exact_match", r["gsm8k"]["exact_match,strict-match"])], results)
        draw = random.Random(1234)  # the split is declared: exactly as many as asked for
        train = read_rows(self.data, "winogrande/winogrande_xl/train.jsonl")
        for got in self.contexts(out, "winogrande"):
            text = "".join(s["sentence"].replace("_", s["option" + s["answer"]]) + "\n\n"
                           for s in draw.sample(train, 5))
            self.assertTrue(got[0].startswith(text))

    def test_moar2024(self):
        out, _ = self.evaluate("moar", "moar2024")
        results = lrp.read_json(out, "dense", "results.json")
        r = results["results"]
        self.assertEqual(results["n-shot"]["gsm8k"], 8)
        truth = (r["truthfulqa_mc1"]["acc,none"] + r["truthfulqa_mc2"]["acc,none"]) / 2
        names = ["arc_easy", "arc_challenge", "hellaswag", "mmlu", "winogrande"]
        values = {n: r[n]["acc,none"] for n in names}
        self.check_average(out, "moar2024", [
            *((f"{n}/acc", values[n]) for n in names[:4]), ("truthfulqa/acc", truth),
            ("winogrande/acc", values["winogrande"]),
            ("gsm8k/exact_match", r["gsm8k"]["exact_match,strict-match"])], results)

    def test_refused_jobs(self):
        for name, tasks, code, part in (
                ("twice", ["openllm", "arc_challenge"], 78, "'arc_challenge' with 0 shots"),
                ("none", [{"name": "wikitext", "num_fewshot": 1}], 78, "no solved examples"),
                ("many", [{"name": "mmlu_anatomy", "num_fewshot": 6}], 78, "has 5 rows")):
            path, _ = self.job(name, evaluate={"data": self.data, "tasks": tasks})
            for command in ([path], ["plan", path]) if code == 78 and name != "many" else ([path],):
                result = lrp.run(command)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
                self.assertIn(part, lrp.errors(result)[0])
        path, _ = self.job("absent", evaluate={"data": lrp.write_data(self.path("few")),
                                               "tasks": ["piqa"]})
        write(self.path("few"), "ai2_arc/ARC-Challenge/test.jsonl", arc_rows("c", 3))
        result = lrp.run([path, "--tasks", "openllm"])
        self.assertEqual(result.returncode, 66, result.stderr)
        self.assertIn("ai2_arc/ARC-Challenge/train.jsonl", lrp.errors(result)[0])

    def test_options(self):
        out, result = self.evaluate("options", ["arc_easy"], "--tasks", "piqa", "--num_fewshot",
                                    "1", "--limit", "2", "--write_out", "--show_config",
                                    "--log_samples", "false", "--no-prefix-sharing")
        self.assertEqual(sorted(os.listdir(os.path.join(out, "dense"))), ["results.json"])
        start = result.stdout.index("{")
        configs, end = json.JSONDecoder().raw_decode(result.stdout[start:])
        self.assertEqual(list(configs), ["piqa"])
        self.assertEqual(configs["piqa"]["num_fewshot"], 1)
        self.assertEqual(configs, lrp.read_json(out, "dense", "results.json")["configs"])
        prompts = result.stdout[start + end:]
        rows = read_rows(self.data, "piqa/validation.jsonl")
        shot = [s for s in random.Random(1234).sample(rows, 2) if s != rows[0]][0]
        self.assertIn(f"Task: piqa; document 0; 1 shots\ncontext of request 0 (starting on next "
                      f"line):\n{piqa_shot(shot)}{piqa_text(rows[0])}\n(end of context", prompts)
        self.assertIn(f"request 1: \" {rows[0]['sol2']}\": ", prompts)
        self.assertEqual(prompts.count("Task: "), 1)
        path = os.path.join(out, "job.yaml")  # the resolved job is the same job
        self.assertIn("already complete", self.complete(path).stdout)


if __name__ == "__main__":
    lrp.main()
