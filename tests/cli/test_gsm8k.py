"""Generated answers: gsm8k on a small random model; what is written agrees with Python's re."""

import json
import os
import random
import re
import unittest

import lrp

FILTERS = {"strict-match": (re.compile(r"#### (\-?[0-9\.\,]+)"), 0),
           "flexible-extract": (re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)"), -1)}
STOPS = ["Question:", "</s>", "<|im_end|>"]
CONFIGURATIONS = [{"name": "dense"}, {"name": "r2", "layers": [1], "tensors": "all", "rank": 2}]


def rows(first, n):
    return [{"question": f"{lrp.sentence(first + i, 7)} {i}?",
             "answer": f"{lrp.sentence(i, 3)} <<{i}+1={i + 1}>>{i + 1}\n#### {i + 1}"}
            for i in range(n)]


def find(name, text):
    pattern, which = FILTERS[name]
    found = pattern.findall(text)
    if not found:
        return "[invalid]"
    group = found[which]
    return group if isinstance(group, str) else [g for g in group if g][0]


def normal(text):
    for pattern in (",", r"\$", r"(?s).*#### ", r"\.$"):
        text = re.sub(pattern, "", text)
    return text.lower()


class Gsm8k(lrp.Case):
    MODEL = lrp.Case.MODEL[:-1] + (768,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, data in (("test", rows(0, 19)), ("train", rows(40, 9))):
            path = os.path.join(cls.data, f"gsm8k/main/{name}.jsonl")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.writelines(json.dumps(row) + "\n" for row in data)

    def gsm8k(self, name, **more):
        evaluate = {"data": self.data, "tasks": ["gsm8k"], "num_fewshot": 2, **more}
        return self.job(name, configurations=CONFIGURATIONS, evaluate=evaluate)

    def check_line(self, line, name):
        self.assertEqual(line["filter"], name)
        self.assertEqual(line["metrics"], ["exact_match"])
        asked = line["arguments"]["gen_args_0"]
        self.assertEqual(asked["arg_1"],
                         {"until": STOPS, "do_sample": False, "temperature": 0.0})
        self.assertTrue(asked["arg_0"].endswith(f"Question: {line['doc']['question']}\nAnswer:"))
        self.assertEqual(asked["arg_0"].count("Question:"), 3)
        text = line["resps"][0][0]
        self.assertFalse(any(stop in text for stop in STOPS))
        self.assertEqual(line["filtered_resps"], [find(name, text)])
        self.assertEqual(line["target"], line["doc"]["answer"])
        match = normal(line["filtered_resps"][0]) == normal(line["target"])
        self.assertEqual(line["exact_match"], float(match))
        return match

    def test_what_is_written(self):
        job, out = self.gsm8k("written")
        self.complete(job, 2)
        for configuration in ("dense", "r2"):
            root = lrp.read_json(out, configuration, "results.json")
            result = root["results"]["gsm8k"]
            self.assertEqual(result["sample_len"], 19)
            lines = lrp.samples(out, configuration, "gsm8k")
            self.assertEqual([line["doc_id"] for line in lines], 2 * list(range(19)))
            for i, name in enumerate(FILTERS):
                matches = [self.check_line(line, name) for line in lines[19 * i:19 * i + 19]]
                self.assertAlmostEqual(result[f"exact_match,{name}"], sum(matches) / 19)
                self.assertIn(f"exact_match_stderr,{name}", result)
            self.assertGreater(len({line["resps"][0][0] for line in lines}), 1)
        self.assertEqual(root["versions"]["gsm8k"], 3.0)
        self.assertEqual(root["n-shot"]["gsm8k"], 2)
        columns = lrp.read(out, "tradeoff.csv").splitlines()[0].split(",")
        self.assertEqual(columns[6:],
                         ["gsm8k/exact_match/strict-match",
                          "gsm8k/exact_match/strict-match_stderr",
                          "gsm8k/exact_match/flexible-extract",
                          "gsm8k/exact_match/flexible-extract_stderr",
                          "score", "score_stderr", "pareto"])
        tradeoff = lrp.read_json(out, "tradeoff.json")
        task, row = tradeoff["tasks"][0], tradeoff["configurations"][0]
        self.assertEqual(task["metric"], "exact_match/strict-match")
        self.assertEqual(row["score"], row["gsm8k/exact_match/strict-match"])
        self.check_tokens(out)
        self.assertIn("already complete", self.complete(job, 1).stdout)

    def check_tokens(self, out):
        if not lrp.have_h5py():
            return
        import h5py
        with h5py.File(os.path.join(out, "evaluation.h5"), "r") as f:
            tokens = f["results/dense/gsm8k/tokens"][()]
        self.assertEqual(tokens.shape, (19, 256))
        for row in tokens:
            n = int((row >= 0).sum())
            self.assertGreater(n, 0)
            self.assertTrue((row[n:] == -1).all() and (row[:n] >= 0).all())

    def test_answers_do_not_depend_on_the_run(self):
        job, first = self.gsm8k("one")
        self.complete(job, 1)
        job, other = self.gsm8k("three", prefix_sharing=False)
        self.complete(job, 3, env={"OMP_NUM_THREADS": "2"})
        self.assertEqual(lrp.scores(first), lrp.scores(other))
        job, part = self.gsm8k("part", limit=3)
        self.complete(job, 1)
        few = lrp.samples(part, "dense", "gsm8k")
        many = lrp.samples(first, "dense", "gsm8k")
        self.assertEqual(few, [line for line in many if line["doc_id"] < 3])

    def test_killed_runs(self):
        job, unbroken = self.gsm8k("unbroken")
        self.complete(job, 2)
        job, out = self.gsm8k("killed")
        draw = random.Random(5)
        for _ in range(4):
            lrp.kill_run([job], draw.choice((1, 2, 3)), draw.uniform(0.3, 1.5))
        self.complete(job, 2)
        self.assertEqual(lrp.scores(out), lrp.scores(unbroken))
        self.assertEqual(lrp.run(["verify", out]).returncode, 0)

    def test_no_room_for_an_answer(self):
        job, _ = self.gsm8k("room", max_length=256)
        result = lrp.run([job], 2)
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertEqual(len(lrp.errors(result)), 1, result.stderr)
        self.assertIn("evaluate.max_length: 256", lrp.errors(result)[0])


if __name__ == "__main__":
    lrp.main()
