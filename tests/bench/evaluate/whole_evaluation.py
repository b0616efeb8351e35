"""Times whole evaluations by the program: what sharing saves, and how long a benchmark takes.

Prints a line of JSON for each case on stdout, what happens meanwhile on stderr:
    mmlu   a subject of MMLU with five shots, a model of the 110M shape with Llama 2's tokenizer,
           and the same with --no-prefix-sharing
    sweep  32 configurations, each with one of 32 layers at rank 1, and separate runs of some
    arc    all of ARC-Easy with stories260K, on two process ranks

Models are made once in LRP_BENCH_DIR (default: a folder in BUILD). Rows, tokenizer and stories260K
are those of --data; a case that lacks something is named and left out. Standard library only.
"""

import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.path.normpath(os.path.join(HERE, "../../../../shared/data"))
LAYERS = 32
SHAPES = {
    "mmlu": ("--hidden", 768, "--layers", 12, "--heads", 12, "--intermediate", 2048,
             "--max-position", 4096),
    "sweep": ("--hidden", 512, "--layers", LAYERS, "--heads", 8, "--intermediate", 1376,
              "--max-position", 512),
}
SMALL = ("--hidden", 16, "--layers", LAYERS, "--heads", 2, "--intermediate", 24, "--max-position",
         1024)
MMLU = {"products": 10.0, "seconds": 6.0}  # at least: without sharing over with it
SWEEP_MAX = 0.6  # at most: together over one after the other
ARC_SECONDS_MAX = 20.0


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options):
        self.options = options
        self.lrpipe = os.path.join(options.build, "lrpipe")
        self.synth_model = os.path.join(options.build, "tests", "tools", "synth_model")
        default = os.path.join(options.build, "tests", "bench", "evaluations")
        self.folder = os.path.abspath(os.environ.get("LRP_BENCH_DIR", default))
        os.makedirs(self.folder, exist_ok=True)
        self.env = {k: v for k, v in os.environ.items()
                    if k != "OPENBLAS_CORETYPE" and not k.startswith("LRPIPE_")}
        if os.getuid() == 0:
            self.env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def data(self, *names):
        return os.path.join(self.options.data, *names)

    def make(self, case):
        """The case's model, random weights in bfloat16; config.json is written last."""
        shape = SMALL if self.options.small else SHAPES[case]
        path = os.path.join(self.folder, case + ("-small" if self.options.small else ""))
        if not os.path.exists(os.path.join(path, "config.json")):
            say(f"making {path}")
            shutil.rmtree(path, ignore_errors=True)
            subprocess.run([self.synth_model, path, "--dtype", "bfloat16", "--tokenizer",
                            self.data("tokenizers", "llama2"), "--vocab", str(self.options.vocab),
                            *map(str, shape)], check=True, stdout=sys.stderr)
        return path

    def write_job(self, name, model, configurations, evaluate):
        """A job and its output, of which only the factors are left from an earlier time."""
        output = os.path.join(self.folder, name)
        path = output + ".yaml"
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"model": model, "output": output, "configurations": configurations,
                       "evaluate": evaluate}, f, indent=1)  # JSON is YAML
        for scores in glob.glob(os.path.join(output, "evaluation*.h5")):
            os.remove(scores)
        return path, output

    def run(self, job, *args, ranks=None):
        """Seconds of a command."""
        ranks = ranks or self.options.ranks
        command = [self.options.mpirun, "--oversubscribe", "--bind-to", "none", "-np", str(ranks),
                   self.lrpipe, "--quiet", job, *args]
        start = time.monotonic()
        subprocess.run(command, env=self.env, check=True, stdout=sys.stderr)
        return time.monotonic() - start

    def products(self, output):
        """How often a token went through a layer, and would have."""
        with open(os.path.join(output, "tradeoff.json"), encoding="utf-8") as f:
            return json.load(f)["evaluation"]["layer_token_products"]

    def timed(self, name, model, configurations, evaluate, *args):
        """Seconds of evaluating alone, and the products that were counted: runs before it, without
        tasks, decompose the matrices and tell how long the rest takes."""
        job, output = self.write_job(name, model, configurations, evaluate)
        nothing = self.run(job, "--set", "evaluate.tasks=[]")
        nothing = min(nothing, self.run(job, "--set", "evaluate.tasks=[]"))
        seconds = max(self.run(job, *args) - nothing, 1e-3)
        products = self.products(output)
        say(f"{name}: {seconds:.2f} s, and {nothing:.2f} s to start; products {products}")
        return seconds, products


def mmlu(bench):
    """One subject with five shots; the longest prompts of MMLU need a longer window."""
    o = bench.options
    model = bench.make("mmlu")
    evaluate = {"data": bench.data("bench"), "tasks": ["mmlu_" + o.subject], "num_fewshot": 5,
                "limit": o.questions}
    dense = [{"name": "dense"}]
    seconds, products = bench.timed("out-mmlu", model, dense, evaluate)
    alone, each = bench.timed("out-mmlu-alone", model, dense, evaluate, "--no-prefix-sharing")
    saved = each["computed"] / products["computed"]
    return {"case": "mmlu", "subject": o.subject, "questions": o.questions,
            "seconds": seconds, "alone_seconds": alone, "seconds_ratio": alone / seconds,
            "products": products["computed"], "alone_products": each["computed"],
            "products_ratio": saved, "ranks": o.ranks,
            "goal": f">= {MMLU['products']:g}x fewer products, >= {MMLU['seconds']:g}x less time",
            "reached": saved >= MMLU["products"] and alone / seconds >= MMLU["seconds"]}


def sweep(bench):
    o = bench.options
    model = bench.make("sweep")
    every = [{"name": f"layer{i}", "layers": [i], "tensors": "all", "rank": 1}
             for i in range(LAYERS)]
    evaluate = {"data": bench.data("bench"), "tasks": ["arc_easy"], "limit": o.questions}
    seconds, products = bench.timed("out-sweep", model, every, evaluate)
    step = LAYERS // o.separate
    runs = [bench.timed(f"out-sweep-{i}", model, [every[i]], evaluate)
            for i in range(step // 2, LAYERS, step)]
    alone = LAYERS * statistics.mean(s for s, _ in runs)
    each = LAYERS * statistics.mean(p["computed"] for _, p in runs)
    return {"case": "sweep", "configurations": LAYERS, "questions": o.questions,
            "seconds": seconds, "alone_seconds": alone, "seconds_ratio": seconds / alone,
            "separate_runs": len(runs), "products": products["computed"], "alone_products": each,
            "products_ratio": products["computed"] / each, "ranks": o.ranks,
            "goal": f"<= {SWEEP_MAX} of separate runs in products and time",
            "reached": products["computed"] <= SWEEP_MAX * each and seconds <= SWEEP_MAX * alone}


def arc(bench):
    model, dense = bench.data("models", "stories260K"), [{"name": "dense"}]
    job, output = bench.write_job("out-arc", model, dense,
                                  {"data": bench.data("bench"), "tasks": ["arc_easy"]})
    seconds = bench.run(job, ranks=2)
    with open(os.path.join(output, "dense", "results.json"), encoding="utf-8") as f:
        results = json.load(f)["results"]["arc_easy"]
    products = bench.products(output)
    return {"case": "arc", "questions": results["sample_len"], "acc": results["acc,none"],
            "products": products["computed"], "alone_products": products["each_request_alone"],
            "seconds": seconds, "ranks": 2, "goal": f"< {ARC_SECONDS_MAX:g} s",
            "reached": seconds < ARC_SECONDS_MAX}


CASES = {"mmlu": mmlu, "sweep": sweep, "arc": arc}
NEEDS = {"mmlu": ("bench/mmlu/test.jsonl", "bench/mmlu/dev.jsonl", "tokenizers/llama2"),
         "sweep": ("bench/ai2_arc/ARC-Easy/test.jsonl", "tokenizers/llama2"),
         "arc": ("bench/ai2_arc/ARC-Easy/test.jsonl", "models/stories260K")}


def parse():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", metavar="BUILD", help="a release build, as build/release")
    p.add_argument("--only", choices=CASES, action="append", help="one of the cases; repeatable")
    p.add_argument("--data", default=SHARED,
                   help="a folder with bench, models and tokenizers [%(default)s]")
    p.add_argument("--subject", default="high_school_biology", help="of MMLU [%(default)s]")
    p.add_argument("--questions", type=int, default=40, help="of mmlu and sweep [%(default)s]")
    p.add_argument("--separate", type=int, default=4, choices=(1, 2, 4, 8, 16, 32),
                   help="separate runs of sweep, whose mean stands for all [%(default)s]")
    p.add_argument("--small", action="store_true", help="smaller models than any, for tests")
    p.add_argument("--vocab", type=int, default=32000, help="of the tokenizer [%(default)s]")
    p.add_argument("--ranks", type=int, default=1, help="process ranks of mmlu and sweep [1]")
    p.add_argument("--mpirun", default="mpirun")
    return p.parse_args()


def main():
    options = parse()
    bench = Bench(options)
    for name in options.only or CASES:
        missing = [path for path in NEEDS[name] if not os.path.exists(bench.data(path))]
        if missing:
            say(f"skipped: {name}: {bench.data(missing[0])} is not there")
        else:
            print(json.dumps(CASES[name](bench)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
