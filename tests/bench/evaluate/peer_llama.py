"""PyTorch and transformers as peers of bench_evaluate, which starts this and speaks JSON lines
with it.

Request and answer, one line each:
    (started)                          {"version": "2.15.0"} or {"error": ...}
    {"do": "load", "kind": "torch" or "transformers", "dtype", "hidden", "ffn", "layers", "heads",
     "kv_heads", "vocab", "tokens", "rank", "wanted": "last", "all" or "layers"}
                                       {"version"}, {"absent": true} or {"error": ...}
    {"do": "run"}                      {"seconds"}
    {"do": "drop"}                     {}

Weights are random. "torch" is the forward pass written down as it is usually done, with what this
PyTorch has to offer; "transformers" is LlamaForCausalLM as it comes.
"""

import contextlib
import gc
import json
import os
import sys
import time

EPS = 1e-5


class Shape:
    def __init__(self, request):
        self.__dict__.update(request)
        self.head_dim = self.hidden // self.heads


def fill(torch, tensors):
    """Random numbers for all tensors: one block, again and again."""
    torch.manual_seed(1)
    block = (torch.rand(1 << 22) - 0.5) * 0.07
    for tensor in tensors:
        flat = tensor.data.view(-1)
        for at in range(0, flat.numel(), block.numel()):
            part = flat[at:at + block.numel()]
            part.copy_(block[:part.numel()])


class Plain:
    """Llama by PyTorch's own functions."""

    def __init__(self, torch, shape):
        self.torch, self.shape = torch, shape
        self.dtype = getattr(torch, shape.dtype)
        s, head_dim = shape, shape.head_dim
        widths = {"q": (s.hidden, s.heads * head_dim), "k": (s.hidden, s.kv_heads * head_dim),
                  "v": (s.hidden, s.kv_heads * head_dim), "o": (s.heads * head_dim, s.hidden),
                  "gate": (s.hidden, s.ffn), "up": (s.hidden, s.ffn), "down": (s.ffn, s.hidden)}
        self.layers = [{name: self.weights(*size) for name, size in widths.items()}
                       for _ in range(s.layers)]
        self.table = torch.empty(s.vocab, s.hidden, dtype=self.dtype)
        self.head = torch.empty(s.vocab, s.hidden, dtype=self.dtype)
        self.ones = torch.ones(s.hidden, dtype=self.dtype)
        fill(torch, [self.table, self.head] + [w for layer in self.layers
                                               for parts in layer.values() for w in parts])
        self.prepare(s.tokens)

    def weights(self, n_in, n_out):
        rank = min(self.shape.rank, n_in, n_out)
        sizes = [(rank, n_in), (n_out, rank)] if rank else [(n_out, n_in)]
        return [self.torch.empty(*size, dtype=self.dtype) for size in sizes]

    def prepare(self, tokens):
        torch, half = self.torch, self.shape.head_dim // 2
        angles = torch.arange(tokens)[:, None] * 10000.0 ** (-torch.arange(half) / half)
        self.cos = torch.cat([angles.cos()] * 2, dim=-1).to(self.dtype)
        self.sin = torch.cat([angles.sin()] * 2, dim=-1).to(self.dtype)
        self.mask = torch.full((tokens, tokens), float("-inf"), dtype=self.dtype).triu(1)

    def norm(self, x):
        wide = x.float()
        wide = wide * self.torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + EPS)
        return self.ones * wide.to(self.dtype)

    def linear(self, x, parts):
        for w in parts:
            x = self.torch.nn.functional.linear(x, w)
        return x

    def rotate(self, x):
        a, b = x.chunk(2, dim=-1)
        return x * self.cos + self.torch.cat((-b, a), dim=-1) * self.sin

    def heads_of(self, x, count):
        return x.view(x.shape[0], count, self.shape.head_dim).transpose(0, 1)[None]

    def attend(self, q, k, v):
        torch = self.torch
        if hasattr(torch.nn.functional, "scaled_dot_product_attention"):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        scores = q @ k.transpose(-1, -2) * self.shape.head_dim ** -0.5 + self.mask
        return torch.softmax(scores, dim=-1) @ v

    def layer(self, w, x):
        s, torch = self.shape, self.torch
        h = self.norm(x)
        q = self.rotate(self.heads_of(self.linear(h, w["q"]), s.heads))
        k = self.rotate(self.heads_of(self.linear(h, w["k"]), s.kv_heads))
        v = self.heads_of(self.linear(h, w["v"]), s.kv_heads)
        k, v = (y.repeat_interleave(s.heads // s.kv_heads, dim=1) for y in (k, v))
        h = self.attend(q, k, v)[0].transpose(0, 1).reshape(x.shape[0], -1)
        x = x + self.linear(h, w["o"])
        h = self.norm(x)
        h = torch.nn.functional.silu(self.linear(h, w["gate"])) * self.linear(h, w["up"])
        return x + self.linear(h, w["down"])

    def run(self, ids):
        x = self.table[ids]
        for w in self.layers:
            x = self.layer(w, x)
        if self.shape.wanted == "layers":
            return x
        rows = x[-1:] if self.shape.wanted == "last" else x
        logits = self.linear(self.norm(rows), [self.head]).float()
        return self.torch.log_softmax(logits, dim=-1)


@contextlib.contextmanager
def uninitialised(torch):
    """Modules made meanwhile do not spend time on random weights."""
    kept = torch.Tensor.normal_, torch.Tensor.uniform_
    torch.Tensor.normal_ = torch.Tensor.uniform_ = lambda self, *_, **__: self
    try:
        yield
    finally:
        torch.Tensor.normal_, torch.Tensor.uniform_ = kept


class Library:
    """LlamaForCausalLM of transformers."""

    def __init__(self, torch, transformers, shape):
        self.torch, self.shape = torch, shape
        config = transformers.LlamaConfig(
            hidden_size=shape.hidden, intermediate_size=shape.ffn, vocab_size=shape.vocab,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads, max_position_embeddings=2048, rms_norm_eps=EPS)
        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, shape.dtype))
        try:
            with uninitialised(torch):
                self.model = transformers.LlamaForCausalLM(config).eval()
        finally:
            torch.set_default_dtype(before)
        fill(torch, [p for p in self.model.parameters() if p.dim() > 1])
        if self.model.dtype != getattr(torch, shape.dtype):
            raise RuntimeError(f"transformers made a model of {self.model.dtype}")

    def run(self, ids):
        wanted = self.shape.wanted
        if wanted == "layers":
            return self.model.model(ids[None], use_cache=False).last_hidden_state
        more = {"logits_to_keep": 1} if wanted == "last" else {}
        logits = self.model(ids[None], use_cache=False, **more).logits
        return self.torch.log_softmax(logits.float(), dim=-1)


class Peer:
    def __init__(self, torch):
        self.torch = torch
        self.made = self.ids = None
        try:
            import transformers
            self.transformers = transformers
        except ImportError as error:
            self.transformers = None
            print(f"skipped: transformers beside PyTorch {torch.__version__}: {error}",
                  file=sys.stderr, flush=True)

    def load(self, **request):
        shape = Shape(request)
        if shape.kind == "transformers" and not self.transformers:
            return {"absent": True}
        self.ids = self.torch.tensor([i * 7919 % shape.vocab for i in range(shape.tokens)])
        if shape.kind == "torch":
            self.made = Plain(self.torch, shape)
            return {"version": self.torch.__version__}
        self.made = Library(self.torch, self.transformers, shape)
        return {"version": self.transformers.__version__}

    def run(self):
        start = time.perf_counter()
        result = self.made.run(self.ids)
        seconds = time.perf_counter() - start
        if not bool(result.isfinite().all()):
            raise RuntimeError("a result is not finite")
        return {"seconds": seconds}

    def drop(self):
        self.made = None
        gc.collect()
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
    peer = Peer(torch)
    answer({"version": torch.__version__})
    for line in sys.stdin:
        request = json.loads(line)
        function = getattr(peer, request.pop("do"))
        try:
            with torch.inference_mode():
                answer(function(**request))
        except (RuntimeError, MemoryError, TypeError) as error:  # other peers go on
            answer({"error": str(error).splitlines()[0] if str(error) else "no memory"})


if __name__ == "__main__":
    main()
