"""lm-evaluation-harness on local models and local rows, with its own tasks: each one's settings are
included from the package, but for the place of its data."""

import json
import logging
import os

for _name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ[_name] = "1"

import lm_eval  # noqa: E402
import lm_eval.tasks  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402

TASKS = os.path.join(os.path.dirname(lm_eval.__file__), "tasks")

# task: its settings in the package, data set below the local data, the splits that it declares
LOCAL = {
    "arc_easy": ("arc/arc_easy.yaml", "ai2_arc/ARC-Easy", "training validation test"),
    "arc_challenge": ("arc/arc_challenge.yaml", "ai2_arc/ARC-Challenge",
                      "training validation test"),
    "hellaswag": ("hellaswag/hellaswag.yaml", "hellaswag", "training validation"),
    "winogrande": ("winogrande/default.yaml", "winogrande/winogrande_xl", "training validation"),
    "piqa": ("piqa/piqa.yaml", "piqa", "training validation"),
    "boolq": ("super_glue/boolq/default.yaml", "super_glue/boolq", "training validation"),
    "openbookqa": ("openbookqa/openbookqa.yaml", "openbookqa/main", "training validation test"),
    "sciq": ("sciq/sciq.yaml", "sciq", "training validation test"),
    "truthfulqa_mc1": ("truthfulqa/truthfulqa_mc1.yaml", "truthful_qa/multiple_choice",
                       "validation"),
    "truthfulqa_mc2": ("truthfulqa/truthfulqa_mc2.yaml", "truthful_qa/multiple_choice",
                       "validation"),
    "lambada_openai": ("lambada/lambada_openai.yaml", "lambada_openai", "test"),
    "wikitext": ("wikitext/wikitext.yaml", "wikitext/wikitext-2-raw-v1",
                 "training validation test"),
    "gsm8k": ("gsm8k/gsm8k.yaml", "gsm8k/main", "training test"),
}
FILES = {"training": "train", "validation": "validation", "test": "test"}


def local_files(data, folder, splits):
    """Split -> file, of those that are there."""
    found = {}
    for split in splits.split():
        path = os.path.join(data, folder, FILES[split] + ".jsonl")
        if os.path.exists(path):
            found[split] = path
    return found


def of_subject(data, subject, name, folder):
    """The rows of a subject of mmlu/<name>.jsonl as a file."""
    path = os.path.join(folder, f"mmlu_{subject}_{name}.jsonl")
    with open(os.path.join(data, "mmlu", name + ".jsonl"), encoding="utf-8") as rows, \
            open(path, "w", encoding="utf-8") as out:
        out.writelines(row for row in rows if json.loads(row)["subject"] == subject)
    return path


# What the package's group of that name changes: lm_eval/tasks/benchmarks/openllm.yaml.
OPENLLM = {"arc_challenge": {"num_fewshot": 25, "fewshot_split": "train"},
           "hellaswag": {"num_fewshot": 10, "fewshot_split": "train"},
           "winogrande": {"num_fewshot": 5, "fewshot_split": "train"},
           "truthfulqa_mc2": {"num_fewshot": 0}, "gsm8k": {"num_fewshot": 5}}


def of_openllm(task):
    return OPENLLM.get(task, {"num_fewshot": 5})  # subjects of MMLU


def settings(task, data, folder, more):
    """The task's settings with local files in place of the data set, and more of them."""
    if task.startswith("mmlu_"):
        subject = task[len("mmlu_"):]
        include = f"mmlu/default/{task}.yaml"
        files = {name: of_subject(data, subject, name, folder) for name in ("dev", "test")}
        changed = {}
    else:
        include, where, splits = LOCAL[task]
        found = local_files(data, where, splits)
        files = {FILES[split]: path for split, path in found.items()}
        changed = {split + "_split": None for split in splits.split() if split not in found}
    return {"include": os.path.join(TASKS, include), "task": task, "dataset_path": "json",
            "dataset_name": None, "dataset_kwargs": {"data_files": files}, **changed, **more}


def manager(tasks, data, folder, openllm):
    """A task manager that knows these tasks and no others."""
    where = os.path.join(folder, "tasks")
    os.makedirs(where, exist_ok=True)
    for task in tasks:
        with open(os.path.join(where, task + ".yaml"), "w", encoding="utf-8") as f:
            more = of_openllm(task) if openllm else {}
            json.dump(settings(task, data, where, more), f, indent=1)  # JSON is YAML
    return lm_eval.tasks.TaskManager(include_path=where, include_defaults=False)


def model_of(directory, tokenizer, dtype, max_length=None, batch=16):
    """A model of transformers for the harness; tokenizer: one of transformers."""
    import torch
    import transformers
    model = transformers.AutoModelForCausalLM.from_pretrained(
        directory, dtype=getattr(torch, dtype), attn_implementation="sdpa").eval()
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch, max_length=max_length,
                device="cpu")


def evaluate(model, tasks, shots, limit, data, folder, bootstrap=100000):
    """Results and samples, as the harness reports them. shots: "openllm", or of all tasks."""
    openllm = shots == "openllm"
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return lm_eval.simple_evaluate(
        model=model, tasks=list(tasks), num_fewshot=None if openllm else shots, limit=limit,
        log_samples=True, bootstrap_iters=bootstrap,
        task_manager=manager(tasks, data, folder, openllm))
