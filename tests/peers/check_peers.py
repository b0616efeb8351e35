"""lrpipe beside the programs that it follows: Hugging Face's tokenizers, transformers and
lm-evaluation-harness, on the same models and rows, without a network.

    check_peers.py BUILD [options]      with the Python of make_venv.sh

BUILD has lrpipe and tests/peers/peer_tokens. Prints what differs, writes a page of tables. Exit
code 1 if anything differs. Not a part of the tests: the peers are large, and their versions change.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile

import program

PEERS = ("lm_eval", "transformers", "tokenizers", "datasets", "torch")

# Suites: name, tasks, shots ("openllm": those of that group), documents, whether with train splits
# that are cut from the rows.
CHOICES = ("arc_easy arc_challenge hellaswag winogrande piqa boolq openbookqa sciq").split()
MMLU = ("mmlu_abstract_algebra mmlu_high_school_biology mmlu_professional_law").split()
ZERO = [*CHOICES, *MMLU, "truthfulqa_mc1", "truthfulqa_mc2", "lambada_openai", "wikitext"]
SUITES = {
    "zero-shot": (ZERO, 0, 20, False),
    "few-shot": ([*CHOICES, "gsm8k"], 3, 12, False),
    "five shots of the subject": (MMLU, 5, 12, False),
    "few-shot, shots from train": (CHOICES, 5, 8, True),
    "openllm": (["arc_challenge", "hellaswag", *MMLU, "truthfulqa_mc2", "winogrande", "gsm8k"],
                "openllm", 4, True),
}
OF_MODELS = {
    "few-shot": (["arc_easy", "winogrande", "piqa"], 2, 6, False),
    "whole texts": (["lambada_openai", "wikitext"], 0, 6, False),
    "generation": (["gsm8k"], 1, 4, False),
}


def parse():
    here = os.path.dirname(os.path.abspath(__file__))
    shared = os.path.normpath(os.path.join(here, "../../../shared/data"))
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", metavar="BUILD", help="a build, as build/release")
    p.add_argument("--data", default=os.path.join(shared, "bench"), help="JSON Lines [%(default)s]")
    p.add_argument("--model", default=os.path.join(shared, "models", "stories260K"),
                   help="directory of a model with tokenizer.json or .model [%(default)s]")
    p.add_argument("--only", choices=("tokenizers", "tasks", "models"), action="append",
                   help="a part of it; may be repeated")
    p.add_argument("--suite", choices=SUITES, action="append", help="of the tasks; likewise")
    p.add_argument("--tasks", help="of the suites, only these: a,b,c")
    p.add_argument("--limit", type=int, help="documents of each task, instead of the suites' own")
    p.add_argument("--page", help="file for the tables, in Markdown")
    p.add_argument("--keep", metavar="DIR", help="work there, and leave everything there")
    p.add_argument("--allow-absent", action="store_true",
                   help="what lrpipe refuses (a task, shots, a kind of tokenizer) does not count")
    return p.parse_args()


def say(*words):
    print(*words, flush=True)


def versions():
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PEERS)
    return f"{found}; Python {platform.python_version()}"


def local_texts(data):
    """Lines of articles, questions and answers, for training tokenizers and trying them."""
    texts = []
    for name, field in (("wikitext/wikitext-2-raw-v1/test", "page"),
                        ("gsm8k/main/test", "question"),
                        ("piqa/validation", "sol1"), ("lambada_openai/test", "text")):
        path = os.path.join(data, name + ".jsonl")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for row in f:
                    texts += json.loads(row)[field].split("\n")[:20]
    return [text for text in texts if text][:3000]


def summary(rows):
    """One row for each model and suite: names of tasks, sums, the largest difference."""
    found = {}
    for model, suite, *row in rows:
        found.setdefault((model, suite), []).append(row)
    short = []
    for (model, suite), of_suite in found.items():
        names, documents, requests, prompts, differences, other = zip(*of_suite)
        numbers = [float(x) for x in differences if x and x[0].isdigit()]
        sums = [str(sum(int(x) for x in column if x.isdigit()))
                for column in (documents, requests, prompts)]
        refused = f", {prompts.count('refused')} refused" if "refused" in prompts else ""
        short.append([model, suite, ", ".join(names), *sums,
                      f"{max(numbers):.1e}" if numbers else "-",
                      str(sum(int(x) for x in other if x)) + refused])
    return short


class Check:
    def __init__(self, options, folder):
        self.options, self.folder, self.bad, self.page = options, folder, 0, []
        self.lrpipe = os.path.join(options.build, "lrpipe")
        self.peer_tokens = os.path.join(options.build, "tests", "peers", "peer_tokens")
        self.texts = local_texts(options.data)

    def path(self, *names):
        path = os.path.join(self.folder, *names)
        os.makedirs(path, exist_ok=True)
        return path

    def table(self, title, head, rows):
        lines = [" | ".join(head), " | ".join("---" for _ in head)] + [" | ".join(r) for r in rows]
        self.page += [f"### {title}", "", *(f"| {line} |" for line in lines), ""]

    def count(self, wrong, absent=False):
        self.bad += bool(wrong) and not (absent and self.options.allow_absent)

    # Tokenizers

    def tokenizers(self):
        import tokenizers_check
        rows = []
        found = tokenizers_check.check(self.peer_tokens, self.texts, self.path("tokenizers"))
        for kind, row in found.items():
            refused = row.get("refused")
            self.count(refused or row["ids"] or row["decoded"], absent=refused)
            if refused:
                rows.append([kind, str(row["texts"]), "refused", ""])
                say(f"{kind}: refused: {refused}")
                continue
            rows.append([kind, *(str(row[k]) for k in ("texts", "ids", "decoded"))])
            say(f"{kind}: {row['texts']} texts, {row['ids']} with other ids, {row['decoded']} "
                "decoded to another text", row["first"] or "")
        self.table("Tokenizers", ["tokenizer.json of the kind of", "texts", "other ids",
                                  "decoded otherwise"], rows)

    # Tasks: lm-evaluation-harness with transformers, and lrpipe

    def suite(self, title, model, directory, tokenizer, suite, rows):
        """Rows of the table for the tasks of a suite, on one model."""
        import harness
        tasks, shots, limit, cut = suite
        limit = self.options.limit or limit
        if self.options.tasks:
            tasks = [task for task in tasks if task in self.options.tasks.split(",")]
        if not tasks:
            return
        data = self.cut_data() if cut else self.options.data
        where = self.path("work", str(len(rows)))
        theirs = harness.evaluate(harness.model_of(directory, tokenizer, "float32"), tasks, shots,
                                  limit, data, where)
        for task in tasks:
            output, refused = self.run_lrpipe(directory, task, data, where, shots, limit)
            say(f"{model}, {title}, {task}:", refused or "")
            cells = self.refuse() if refused else self.compare(task, theirs, output)
            rows.append([model, title, task, *cells])

    def refuse(self):
        self.count(True, absent=True)
        return ["", "", "refused", "", ""]

    def compare(self, task, theirs, output):
        """Cells of the table; what differs is said."""
        import compare
        row = compare.compare_task(task, theirs, output)
        self.count(not compare.agrees(row))
        say("   ", json.dumps({k: v for k, v in row.items() if k != "notes"}))
        for text in row["notes"]:
            say("   ", text)
        difference = "same texts" if task == "gsm8k" and not row["texts"] else \
            f"{row['difference']:.1e}"
        other = row["texts"] + row["greedy"] + row["scores"] + row["metrics"]
        counts = [str(row[k]) for k in ("documents", "requests", "prompts")]
        return [*counts, difference, str(other)]

    def run_lrpipe(self, directory, task, data, where, shots, limit):
        """The directory of results, or what it says against the task. A suite runs once."""
        suite = shots == "openllm"
        output = os.path.join(where, "lrpipe-" + ("suite" if suite else task))
        if suite and os.path.exists(os.path.join(output, "dense", "results.json")):
            return os.path.join(output, "dense"), None
        job = program.job(directory, [shots if suite else task], data, output,
                          None if suite else shots, limit)
        return program.run(self.lrpipe, job, where)

    def cut_data(self):
        """Rows in two halves, train and the others, where there is no train file."""
        folder = self.path("cut")
        for name in ("hellaswag/validation", "winogrande/winogrande_xl/validation",
                     "piqa/validation", "super_glue/boolq/validation", "openbookqa/main/test",
                     "sciq/test"):
            self.cut_file(name, folder)
        for name in ("ai2_arc/ARC-Easy/train", "ai2_arc/ARC-Easy/test",
                     "ai2_arc/ARC-Challenge/train", "ai2_arc/ARC-Challenge/test", "mmlu/dev",
                     "mmlu/test", "truthful_qa/multiple_choice/validation", "gsm8k/main/train",
                     "gsm8k/main/test"):
            self.copy(name + ".jsonl", folder)
        return folder

    def cut_file(self, name, folder):
        source = os.path.join(self.options.data, name.replace("/test", "/validation") + ".jsonl")
        with open(source, encoding="utf-8") as f:
            rows = f.readlines()
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        half = len(rows) // 2
        for split, part in ((name, rows[:half]),
                            (os.path.join(os.path.dirname(name), "train"), rows[half:])):
            with open(os.path.join(folder, split + ".jsonl"), "w", encoding="utf-8") as f:
                f.writelines(part)

    def copy(self, name, folder):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copyfile(os.path.join(self.options.data, name), path)

    HEAD = ["model", "suite", "task", "documents", "requests", "other prompts",
            "largest difference of a log-likelihood", "other answers or metrics"]

    def tables(self, title, rows):
        self.table(title, self.HEAD, summary(rows))
        self.table(title + ", by task", self.HEAD, rows)

    def tasks(self):
        import random_models
        import transformers
        directory = self.options.model
        if os.path.exists(os.path.join(directory, "tokenizer.json")):
            tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
        else:
            tokenizer = random_models.tokenizer_of_sentencepiece(directory, self.path("spm"))
        rows = []
        for title in self.options.suite or SUITES:
            self.suite(title, os.path.basename(os.path.normpath(directory)), directory, tokenizer,
                       SUITES[title], rows)
        self.tables("Tasks", rows)

    def models(self):
        import random_models
        rows = []
        for i, name in enumerate(random_models.MODELS):
            directory = random_models.make(name, self.texts, self.path("models", str(i)))
            tokenizer = random_models.tokenizer_of(directory)
            for title, suite in OF_MODELS.items():
                self.suite(title, name, directory, tokenizer, suite, rows)
        self.tables("Models of random weights", rows)

    def run(self):
        for part in self.options.only or ("tokenizers", "tasks", "models"):
            getattr(self, part)()
        if self.options.page:
            with open(self.options.page, "w", encoding="utf-8") as f:
                f.write(f"{versions()}\n\n" + "\n".join(self.page))


def main():
    options = parse()
    for name in (options.data, options.model, options.build):
        if not os.path.isdir(name):
            say(f"skipped: {name} is not there")
            return 77
    options.build = os.path.abspath(options.build)
    folder = options.keep or tempfile.mkdtemp(prefix="lrpipe-peers-")
    os.environ["HF_HOME"] = os.path.join(folder, "hf")  # before any of the peers is loaded
    say(versions())
    try:
        check = Check(options, folder)
        check.run()
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    say(f"{check.bad} rows of the tables differ")
    return 1 if check.bad else 0


if __name__ == "__main__":
    sys.exit(main())
