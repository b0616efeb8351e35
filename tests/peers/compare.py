"""Samples and results of lm-evaluation-harness and of lrpipe, side by side."""

import math
import os

import program

TOLERANCE = 2e-4  # of a log-likelihood in float32
RELATIVE = 1e-7  # of one of a whole article, where that is more


def close(x, y):
    """Whether two log-likelihoods agree."""
    return abs(x - y) <= max(TOLERANCE, RELATIVE * abs(x))


def new_row():
    return {"documents": 0, "requests": 0, "prompts": 0, "hashes": 0, "texts": 0,
            "difference": 0.0, "apart": 0, "greedy": 0, "scores": 0, "metrics": 0, "notes": []}


def note(row, text):
    if len(row["notes"]) < 2:
        row["notes"].append(text)


def differs(a, b, tolerance):
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return not math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    return a != b


def where_they_part(a, b):
    common = os.path.commonprefix([a, b])
    start = max(len(common) - 20, 0)
    return f"..{a[start:len(common) + 60]!r} and ..{b[start:len(common) + 60]!r}"


def compare_answers(row, theirs, ours, where):
    for x, y in zip(theirs, ours):
        if isinstance(x, str) or isinstance(y, str):
            x = str(x).replace("\0", "\ufffd")  # lrpipe's own way with a byte that ends strings
            row["texts"] += x != y
            if x != y:
                note(row, f"{where}: {where_they_part(x, str(y))}")
            continue
        row["difference"] = max(row["difference"], abs(x[0] - y[0]))
        if not close(x[0], y[0]):
            row["apart"] += 1
            note(row, f"{where}: {x[0]} and {y[0]}")
        row["greedy"] += x[1] is not None and y[1] is not None and x[1] != y[1]


def compare_sample(row, theirs, ours, where):
    """One document, one filter."""
    asked, mine = program.arguments(theirs), program.arguments(ours)
    row["requests"] += len(asked)
    row["prompts"] += asked != mine
    if asked != mine:
        note(row, f"{where}: asked {where_they_part(str(asked), str(mine))}")
        return
    row["hashes"] += any(theirs[k] != ours[k] for k in ("doc_hash", "prompt_hash", "target_hash"))
    compare_answers(row, program.answers(theirs), program.answers(ours), where)
    for name in theirs["metrics"]:
        if isinstance(theirs[name], (int, float)) and differs(theirs[name], ours[name], 1e-3):
            row["scores"] += 1
            note(row, f"{where}: {name} {theirs[name]} and {ours[name]}")


def compare_results(row, theirs, ours, task):
    """Everything that the harness reports of a task."""
    for key, value in theirs.items():
        if "," not in key:
            continue
        tolerance = 1e-3 if "perplexity" in key else 1e-6 if "bits" in key else \
            1e-4 if task == "truthfulqa_mc2" else 1e-9
        if key not in ours or differs(value, ours[key], tolerance):
            row["metrics"] += 1
            note(row, f"{task}: {key} {value} and {ours.get(key)}")


def compare_task(task, theirs, output):
    """theirs: what simple_evaluate returned; output: where lrpipe wrote."""
    row = new_row()
    key = lambda s: (s["doc_id"], s["filter"])  # noqa: E731
    left = sorted(theirs["samples"][task], key=key)
    right = sorted(program.samples(output, task), key=key)
    row["documents"] = len({s["doc_id"] for s in left})
    if [key(s) for s in left] != [key(s) for s in right]:
        note(row, f"{task}: documents or filters differ")
        row["prompts"] = len(left)
        return row
    for a, b in zip(left, right):
        compare_sample(row, a, b, f"{task}, document {a['doc_id']}")
    compare_results(row, theirs["results"][task], program.results(output)[task], task)
    return row


def agrees(row):
    return not any(row[k] for k in ("prompts", "texts", "apart", "greedy", "scores", "metrics"))
