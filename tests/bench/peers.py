"""PyTorch as a peer of bench_decompose, which starts this and speaks JSON lines with it.

Request and answer, one line each:
    (started)                                     {"version": "1.13.0"} or {"error": ...}
    {"do": "load", "path", "rows", "cols"}        {}          bfloat16 file, kept as float32
    {"do": "svd"}                                 {"seconds"}
    {"do": "svd_lowrank", "q", "niter"}           {"seconds"}
    {"do": "save", "rank", "path"}                {}          u, s, vt of the last result, float32
"""

import json
import os
import sys
import time


def from_file(torch, path, count, dtype, shared=False):
    return torch.from_file(path, shared=shared, size=count, dtype=dtype)


class Peer:
    def __init__(self, torch):
        self.torch = torch
        self.matrix = None
        self.result = None

    def load(self, path, rows, cols):
        self.result = None
        stored = from_file(self.torch, path, rows * cols, self.torch.bfloat16)
        self.matrix = stored.float().reshape(rows, cols)
        return {}

    def timed(self, function):
        self.result = None  # memory is given back outside of the clock
        start = time.perf_counter()
        self.result = function()
        return {"seconds": time.perf_counter() - start}

    def svd(self):
        def function():
            u, s, vt = self.torch.linalg.svd(self.matrix, full_matrices=False)
            return u, s, vt
        return self.timed(function)

    def svd_lowrank(self, q, niter):
        self.torch.manual_seed(1)

        def function():
            u, s, v = self.torch.svd_lowrank(self.matrix, q=q, niter=niter)
            return u, s, v.T
        return self.timed(function)

    def save(self, rank, path):
        u, s, vt = self.result
        parts = [u[:, :rank].reshape(-1), s[:rank], vt[:rank].reshape(-1)]
        with open(path, "wb"):
            pass
        count = sum(part.numel() for part in parts)
        file = from_file(self.torch, path, count, self.torch.float32, shared=True)
        file.copy_(self.torch.cat(parts))
        return {}


def answer(line):
    print(json.dumps(line), flush=True)


def main():
    try:
        import torch
    except ImportError as error:
        answer({"error": str(error)})
        return
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    answer({"version": torch.__version__})
    peer = Peer(torch)
    for line in sys.stdin:
        request = json.loads(line)
        function = getattr(peer, request.pop("do"))
        try:
            with torch.no_grad():
                answer(function(**request))
        except (RuntimeError, MemoryError) as error:  # LAPACK, memory: the other peers go on
            answer({"error": str(error).splitlines()[0] if str(error) else "no memory"})


if __name__ == "__main__":
    main()
