"""Small models of random weights, made by transformers, with tokenizers trained on local texts."""

import json
import os

import torch
import transformers
from tokenizers import Tokenizer

import tokenizers_check

END = "<|endoftext|>"


def llama3(vocab):
    return transformers.LlamaConfig(
        vocab_size=vocab, hidden_size=64, intermediate_size=168, num_hidden_layers=3,
        num_attention_heads=8, num_key_value_heads=2, head_dim=16, max_position_embeddings=1024,
        tie_word_embeddings=False, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
                         "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 128})


def llama_linear(vocab):
    return transformers.LlamaConfig(
        vocab_size=vocab, hidden_size=48, intermediate_size=100, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=640,
        attention_bias=True, tie_word_embeddings=True,
        rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0})


def mistral(vocab):
    return transformers.MistralConfig(
        vocab_size=vocab, hidden_size=64, intermediate_size=128, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, head_dim=24, max_position_embeddings=768,
        sliding_window=96, tie_word_embeddings=False)


def qwen2(vocab):
    return transformers.Qwen2Config(
        vocab_size=vocab, hidden_size=64, intermediate_size=160, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
        tie_word_embeddings=True, rms_norm_eps=1e-6)


# name: its configuration, kind of its tokenizer
MODELS = {
    "Llama 3 (rope llama3, grouped heads)": (llama3, "Llama 3"),
    "Llama (linear rope, biases, tied)": (llama_linear, "Llama 2 (Prepend, Replace)"),
    "Mistral (window of 96)": (mistral, "Metaspace, first"),
    "Qwen 2 (biases, no BOS)": (qwen2, "Qwen 2 (NFC)"),
}


def fill(model, seed=1):
    """Weights that make distinct logits, biases and norms that matter."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape, generator=draw) * 0.15)
            if "norm" in name:
                p.add_(1.0)


def make(name, texts, folder):
    """A directory that both programs read."""
    config, kind = MODELS[name]
    tokenizers_check.write(kind, texts, folder, size=700, end=END)
    tokenizer = tokenizer_of(folder)
    settings = config(Tokenizer.from_file(
        os.path.join(folder, "tokenizer.json")).get_vocab_size())
    settings.bos_token_id, settings.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    model = transformers.AutoModelForCausalLM.from_config(settings, dtype=torch.float32)
    fill(model)
    model.save_pretrained(folder)
    return folder


def tokenizer_of(folder):
    """What stands in tokenizer.json, whatever else transformers makes of a directory."""
    with open(os.path.join(folder, "tokenizer_config.json"), encoding="utf-8") as f:
        names = json.load(f)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=os.path.join(folder, "tokenizer.json"),
        **{k: names[k] for k in ("bos_token", "eos_token") if k in names})


def tokenizer_of_sentencepiece(folder, scratch):
    """tokenizer.model as transformers 4 converted it: a space in front of every part, BOS."""
    os.makedirs(scratch, exist_ok=True)
    tokenizer = transformers.LlamaTokenizer.from_pretrained(folder, add_bos_token=True)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    space = tokenizers_check.SPACE
    content["pre_tokenizer"] = None
    content["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": space},
        {"type": "Replace", "pattern": {"String": " "}, "content": space}]}
    path = os.path.join(scratch, "tokenizer.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(content, f)
    return transformers.PreTrainedTokenizerFast(tokenizer_file=path, bos_token="<s>",
                                                eos_token="</s>", unk_token="<unk>")
