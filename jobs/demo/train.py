#!/usr/bin/env python3
"""Train the demo model: a Llama of 16 layers, 64 wide, on questions about a toy world (texts.py).

    python3 train.py [DIR]      writes DIR/model and DIR/data; DIR is this folder if none is named

Needs PyTorch; fixed seeds. A run that was stopped goes on from DIR/state.pt.

Four layers are trained first, which is cheap; then each is cut into four that add a quarter of what it
added, and the 16 are trained together for a while. A layer has neighbours that do much the same, so
low rank costs accuracy little by little. The training ends early, while the harder questions are half
learned.
"""
import argparse
import json
import math
import os
import random
import struct
import time

import torch
import torch.nn.functional as F

import bpe
import texts

HIDDEN, HEADS, FFN, CONTEXT, EPS = 64, 4, 172, 32, 1e-5
PARTS = (4, 4, 4, 4)  # how many of the 16 layers are made of each that is trained first
STEPS, LAST_STEPS = 170, 50  # with the few layers, with all
RATE = 4e-3


def linear(n_in, n_out):
    return torch.nn.Linear(n_in, n_out, bias=False)


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Layer(torch.nn.Module):
    """As Hugging Face's LlamaDecoderLayer computes it, with its names of the weights."""

    def __init__(self):
        super().__init__()
        self.self_attn = torch.nn.ModuleDict(
            {f"{name}_proj": linear(HIDDEN, HIDDEN) for name in "qkvo"})
        self.mlp = torch.nn.ModuleDict({"gate_proj": linear(HIDDEN, FFN),
                                        "up_proj": linear(HIDDEN, FFN),
                                        "down_proj": linear(FFN, HIDDEN)})
        self.input_layernorm = torch.nn.Parameter(torch.ones(HIDDEN))
        self.post_attention_layernorm = torch.nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x, cos, sin, mask):
        rows, n, _ = x.shape
        h = norm(x, self.input_layernorm)
        q, k, v = (self.self_attn[f"{name}_proj"](h).view(rows, n, HEADS, -1).transpose(1, 2)
                   for name in "qkv")
        scores = rotate(q, cos, sin) @ rotate(k, cos, sin).transpose(2, 3)
        scores = (scores / math.sqrt(HIDDEN // HEADS) + mask).softmax(-1)
        x = x + self.self_attn["o_proj"]((scores @ v).transpose(1, 2).reshape(x.shape))
        h = norm(x, self.post_attention_layernorm)
        h = F.silu(self.mlp["gate_proj"](h)) * self.mlp["up_proj"](h)
        return x + self.mlp["down_proj"](h)


class Model(torch.nn.Module):
    def __init__(self, vocab, parts):
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(vocab, HIDDEN)
        self.layers = torch.nn.ModuleList(Layer() for _ in parts)
        self.norm = torch.nn.Parameter(torch.ones(HIDDEN))
        self.parts = parts
        for p in self.parameters():
            if p.dim() == 2:
                torch.nn.init.normal_(p, std=0.6 * HIDDEN ** -0.5)
        for layer in self.layers:
            for p in (layer.self_attn["o_proj"].weight, layer.mlp["down_proj"].weight):
                p.data /= math.sqrt(len(parts))
        d = HIDDEN // HEADS
        angles = torch.arange(CONTEXT)[:, None] * 10000.0 ** (-torch.arange(0, d, 2) / d)
        self.cos, self.sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        self.mask = torch.full((CONTEXT, CONTEXT), -1e9).triu(1)

    def forward(self, ids):
        n = ids.shape[1]
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos[:n], self.sin[:n], self.mask[:n, :n])
        return norm(x, self.norm)

    def logits(self, x):
        return x @ self.embed_tokens.weight.T


def cut(model):
    """The same model in more layers: each adds its share of what the one did."""
    whole = Model(model.embed_tokens.num_embeddings, (1,) * sum(model.parts))
    whole.embed_tokens.load_state_dict(model.embed_tokens.state_dict())
    whole.norm.data.copy_(model.norm.data)
    sources = [(layer, parts) for layer, parts in zip(model.layers, model.parts)
               for _ in range(parts)]
    for target, (layer, parts) in zip(whole.layers, sources):
        target.load_state_dict(layer.state_dict())
        for p in (target.self_attn["o_proj"].weight, target.mlp["down_proj"].weight):
            p.data /= parts
    return whole


# ---- training ----

def batch(r, tokenizer):
    """Ids of questions with answers, padded with </s>, and how much each id counts: an answer in full,
    the wording of a question little, the padding nothing."""
    rows = []
    for question, answer in texts.told(r):
        asked = [1] + tokenizer.encode(" " + texts.prompt(question))
        answered = tokenizer.encode(" " + answer)
        rows.append((asked + answered + [2], [0.0] + [0.03] * (len(asked) - 1) +
                     [1.0] * len(answered) + [0.03]))
    longest = max(len(ids) for ids, _ in rows)
    ids = [ids + [2] * (longest - len(ids)) for ids, _ in rows]
    weights = [w + [0.0] * (longest - len(w)) for _, w in rows]
    return torch.tensor(ids), torch.tensor(weights)


def train_step(model, optimizer, tokenizer, step, rate):
    ids, weights = batch(random.Random(step), tokenizer)
    optimizer.param_groups[0]["lr"] = rate
    x = model(ids[:, :-1])
    kept = weights[:, 1:] > 0
    w = weights[:, 1:][kept]
    loss = F.cross_entropy(model.logits(x[kept]), ids[:, 1:][kept], reduction="none")
    answers = loss.detach()[w == 1.0].mean()
    optimizer.zero_grad()
    ((loss * w).sum() / w.sum()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return answers.item()


def new_optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)


def rate_of(step):
    """The learning rate: a short rise, a long fall, and a lower one for all layers."""
    if step >= STEPS:
        return 0.25 * RATE * (1.0 - (step - STEPS) / LAST_STEPS)
    return RATE * min(1.0, (step + 1) / 50) * (0.55 + 0.45 * math.cos(math.pi * step / STEPS))


def load(path, vocab):
    """Model, optimizer and step that a stopped run left, or a new model."""
    torch.manual_seed(0)
    model, step = Model(vocab, PARTS), 0
    if not os.path.exists(path):
        return model, new_optimizer(model), step
    state = torch.load(path)
    if state["cut"]:
        model = cut(model)
    optimizer = new_optimizer(model)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return model, optimizer, state["step"]


def train(path, tokenizer, seconds):
    model, optimizer, step = load(path, len(tokenizer.ids))
    start = time.time()
    while step < STEPS + LAST_STEPS and time.time() - start < seconds:
        if step == STEPS and model.parts == PARTS:
            model = cut(model)
            optimizer = new_optimizer(model)
        loss = train_step(model, optimizer, tokenizer, step, rate_of(step))
        step += 1
        if step % 25 == 0:
            seconds_so_far = time.time() - start
            print(f"step {step}, loss of the answers {loss:.3f}, {seconds_so_far:.0f} s", flush=True)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step,
                "cut": model.parts != PARTS}, path)
    return model, step


# ---- the test ----

def accuracy(model, tokenizer, questions):
    """Share of the questions whose right choice has the largest probability."""
    prompts = [[1] + tokenizer.encode(" " + texts.prompt(text)) for text, _, _ in questions]
    ends = torch.tensor([len(ids) for ids in prompts])
    ids = torch.tensor([ids + [2] * (ends.max() - len(ids)) for ids in prompts])
    with torch.no_grad():
        scores = model.logits(model(ids)[torch.arange(len(ids)), ends - 1])
    right = 0
    for row, (_, choices, gold) in zip(scores, questions):
        answers = [tokenizer.encode(" " + choice) for choice in choices]
        assert all(len(answer) == 1 for answer in answers)
        right += row[[answer[0] for answer in answers]].argmax().item() == gold
    return right / len(questions)


# ---- what is written ----

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
    "intermediate_size": FFN, "num_hidden_layers": sum(PARTS), "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS, "max_position_embeddings": 128, "rms_norm_eps": EPS,
    "rope_theta": 10000.0, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
    "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
}


def weights(model):
    """Names of LlamaForCausalLM, and the weights in bfloat16."""
    for name, p in model.named_parameters():
        if not name.endswith(".weight"):
            name += ".weight"
        yield f"model.{name}", p.detach().bfloat16().contiguous()


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, t in tensors:
        end = offset + 2 * t.numel()
        header[name] = {"dtype": "BF16", "shape": list(t.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, t in tensors:
            f.write(t.view(torch.int16).numpy().tobytes())


def write_model(folder, model, tokenizer):
    os.makedirs(folder, exist_ok=True)
    config = dict(CONFIG, vocab_size=len(tokenizer.ids))
    settings = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False,
                "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                "clean_up_tokenization_spaces": False, "legacy": True, "model_max_length": 128}
    for name, content in (("tokenizer.json", tokenizer.json()), ("config.json", config),
                          ("tokenizer_config.json", settings)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(content, f, indent=1)
            f.write("\n")
    write_safetensors(os.path.join(folder, "model.safetensors"), list(weights(model)))


# The tasks of lrpipe whose files and fields carry the grades.
FILES = {"easy": ("ai2_arc/ARC-Easy/test.jsonl", "question", "{}"),
         "medium": ("openbookqa/main/test.jsonl", "question_stem", "Question: {}\nAnswer:"),
         "hard": ("ai2_arc/ARC-Challenge/test.jsonl", "question", "{}")}


def write_data(folder, sets):
    for grade, questions in sets.items():
        name, field, form = FILES[grade]
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            for i, (text, choices, gold) in enumerate(questions):
                f.write(json.dumps({
                    "id": f"{grade}_{i + 1:03}", field: form.format(text),
                    "choices": {"text": choices, "label": ["A", "B", "C", "D"]},
                    "answerKey": "ABCD"[gold]}) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("dir", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    p.add_argument("--seconds", type=float, default=1e9, help="stop then, to go on later")
    a = p.parse_args()
    os.makedirs(a.dir, exist_ok=True)
    r = random.Random(1)
    sample = [f" {texts.prompt(q)} {answer}" for _ in range(40) for q, answer in texts.told(r)]
    tokenizer = bpe.Tokenizer(*bpe.train(sample))
    sets = {grade: texts.questions(grade) for grade in texts.WHO}
    model, step = train(os.path.join(a.dir, "state.pt"), tokenizer, a.seconds)
    print(step, {grade: round(accuracy(model, tokenizer, q), 3) for grade, q in sets.items()})
    if step == STEPS + LAST_STEPS:
        write_model(os.path.join(a.dir, "model"), model, tokenizer)
        write_data(os.path.join(a.dir, "data"), sets)
        os.remove(os.path.join(a.dir, "state.pt"))


if __name__ == "__main__":
    main()
