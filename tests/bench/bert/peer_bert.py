"""bench_bert beside PyTorch with transformers, in one run, in turns, on the same inputs.

    peer_bert.py BENCH_BERT MODEL float32|bfloat16 [BATCH] [LENGTH] [REPEATS]

Threads are those of OMP_NUM_THREADS. Prints inputs per second of both, their ratio, and how far
apart the logits of the first input are."""

import os
import subprocess
import sys
import time

import torch
from transformers import BertConfig, BertForSequenceClassification


def load(directory, dtype):
    from safetensors.torch import load_file  # the files may lack what from_pretrained asks for
    model = BertForSequenceClassification(BertConfig.from_pretrained(directory))
    model.load_state_dict(load_file(os.path.join(directory, "model.safetensors")), strict=False)
    return model.to(dtype).eval()


def main():
    binary, directory, dtype = sys.argv[1:4]
    batch, length, repeats = (int(sys.argv[i]) if len(sys.argv) > i else default
                              for i, default in ((4, 32), (5, 128), (6, 2)))
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = load(directory, getattr(torch, dtype))
    vocab = model.config.vocab_size
    ids = torch.tensor([[(i * 7919 + t * 104729) % vocab for t in range(length)]
                        for i in range(batch)])
    ours, theirs = 0.0, 0.0
    with torch.inference_mode():
        logits = model(input_ids=ids).logits  # warm up
        for _ in range(repeats):
            start = time.perf_counter()
            model(input_ids=ids)
            theirs = max(theirs, batch / (time.perf_counter() - start))
            words = subprocess.run([binary, directory, dtype, str(batch), str(length), "1"],
                                   check=True, stdout=subprocess.PIPE, text=True).stdout.split()
            ours = max(ours, float(words[0]))
    apart = max(abs(float(a) - float(b)) for a, b in zip(words[1:], logits[0]))
    print(f"{dtype}, {batch} inputs of {length} tokens, torch {torch.__version__}: "
          f"lrpipe {ours:.2f}/s, torch {theirs:.2f}/s, ratio {ours / theirs:.2f}, "
          f"logits {apart:.2g} apart")


if __name__ == "__main__":
    main()
