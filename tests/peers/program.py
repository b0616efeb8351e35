"""lrpipe on one model and some tasks, and what it says, in the harness's own terms."""

import json
import os
import subprocess


def run(lrpipe, job, folder):
    """Run a job with one process rank; its output directory, or what it says against the job."""
    path = os.path.join(folder, "job.yaml")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(job, f, indent=1)  # JSON is YAML
    env = {k: v for k, v in os.environ.items() if not k.startswith("LRPIPE_")}
    env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    result = subprocess.run(["mpirun", "-np", "1", "--bind-to", "none", lrpipe, "--quiet", path],
                            env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if result.returncode == 0:
        return os.path.join(job["output"], "dense"), None
    lines = [x for x in result.stderr.splitlines() if x.startswith("lrpipe: error: ")]
    return None, lines[0][len("lrpipe: error: "):] if lines else result.stderr.strip()[-300:]


def job(model, tasks, data, output, shots, limit, max_length=None):
    evaluate = {"data": data, "tasks": list(tasks), "limit": limit, "dtype": "float32"}
    if shots is not None:
        evaluate["num_fewshot"] = shots
    if max_length:
        evaluate["max_length"] = max_length
    return {"model": model, "output": output, "configurations": [{"name": "dense"}],
            "evaluate": evaluate}


def results(output):
    with open(os.path.join(output, "results.json"), encoding="utf-8") as f:
        return json.load(f)["results"]


def samples(output, task):
    """A list of lines, in the order of documents and filters."""
    with open(os.path.join(output, f"samples_{task}.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def arguments(sample):
    """The strings that were asked, request by request; of either program's sample."""
    asked = sample["arguments"]
    if isinstance(asked, dict):
        asked = [list(asked[f"gen_args_{i}"].values()) for i in range(len(asked))]
    return [[part for part in request if isinstance(part, str)] for request in asked]


def answer(value):
    """(log-likelihood, greedy or None), or generated text."""
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (list, tuple)):
        return float(value[0]), str(value[1]) == "True"
    try:
        return float(value), None
    except ValueError:
        return value


def answers(sample):
    return [answer(value) for value in sample["resps"]]
