"""Lines of the benchmarks to the tables of docs/performance.md:
python3 tests/bench/table.py build/bench.jsonl"""

import json
import sys

COLUMNS = ("torch.linalg.svd", "torch.svd_lowrank", "sgesdd", "current torch.linalg.svd",
           "current torch.svd_lowrank", "llm")


def number(value):
    return "-" if value is None else f"{value:.3g}"


def peer(line, name):
    """Seconds (ratio), and the excess of what is not exact."""
    found = line["peers"].get(name)
    if not found or found["seconds"] is None:
        return "-"
    text = f"{number(found['seconds'])} ({number(found['ratio'])})"
    return text + (f", {found['excess']:.0e}" if "svd_lowrank" in name else "")


def verdict(line):
    return {True: "yes", False: "no", None: "-"}[line["reached"]]


def row(cells):
    print("| " + " | ".join(cells) + " |")


def table(head, rows):
    if rows:
        row(head)
        row(["---"] * len(head))
        for cells in rows:
            row(cells)
        print()


def contest(line):
    goal = line["goal"] or ""
    return [line["case"], line["method"], number(line["seconds"]),
            number(line["certificate_seconds"]), f"{line['excess']:.0e}",
            f"{line['orthogonality']:.0e}", *(peer(line, name) for name in COLUMNS), goal,
            verdict(line)]


def grid(line):
    peers = ", ".join(f"{name} {peer(line, name)}" for name in line["peers"])
    return [line["case"], str(line["ranks"]), number(line["seconds"]), f"{line['excess']:.0e}",
            f"{line['orthogonality']:.0e}", peers, line["goal"], verdict(line)]


def model(line):
    if "ratio" in line:
        what = (f"{number(line['ratio'])} of a read ({number(line['read_seconds'])} s), "
                f"{line['peak_bytes_per_rank'] / (1 << 30):.2f} GiB")
    else:
        what = (f"predicted {number(line['predicted_seconds'])} for "
                f"{number(line['decompose_seconds'])}, balance {number(line['balance'])}")
    return [line["case"], str(line["matrices"]), str(line["ranks"]), number(line["seconds"]), what,
            line["goal"], verdict(line)]


def rate(line):
    """A forward pass: tokens/s of lrpipe, and of its peers with the ratio."""
    peers = ", ".join(f"{name} {number(p['tokens_per_s'])} ({number(p['ratio'])})"
                      for name, p in line["peers"].items()) or "-"
    dense = number(line["of_dense"])
    share = "-" if line["share"] is None else f"{line['share']:.0%}"
    return [line["case"], number(line["tokens_per_s"]), share, number(line["peak_gflops"]), dense,
            peers, line["goal"] or "", verdict(line)]


def evaluation(line):
    """A whole evaluation."""
    what = f"{line['questions']} questions"
    if "products_ratio" in line:
        what += (f", {number(line['alone_seconds'])} s without sharing; ratio of times "
                 f"{number(line['seconds_ratio'])}, of products {number(line['products_ratio'])}")
    return [line["case"], number(line["seconds"]), what, line["goal"], verdict(line)]


def kind(line):
    if "share" in line:
        return "pass"
    if "questions" in line:
        return "evaluation"
    name = line["case"].partition("-")[0]
    return name if name in ("grid", "model") else "contest"


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        lines = [json.loads(text) for text in f if text.strip()]
    of = {}
    for line in lines:
        of.setdefault(kind(line), []).append(line)
    for name, head, cells in (
            ("contest", ["case", "method", "seconds", "certificate", "excess", "orthogonality",
                         *COLUMNS, "goal", "reached"], contest),
            ("grid", ["case", "process ranks", "seconds", "excess", "orthogonality", "peer", "goal",
                      "reached"], grid),
            ("model", ["case", "matrices", "process ranks", "seconds", "what", "goal", "reached"],
             model),
            ("pass", ["case", "tokens/s", "of the peak", "peak, GFLOP/s", "of dense",
                      "peers, tokens/s (ratio)", "goal", "reached"], rate),
            ("evaluation", ["case", "seconds", "what", "goal", "reached"], evaluation)):
        table(head, [cells(line) for line in of.get(name, [])])


if __name__ == "__main__":
    main()
