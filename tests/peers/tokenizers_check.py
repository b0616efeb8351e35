"""Tokenizers of many kinds, trained on local texts: ids by Hugging Face's library and by lrpipe."""

import json
import os
import random
import subprocess

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = GPT4.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
SPACE = "\u2581"


def bytes_of(*steps):
    """Splits, then bytes; without steps GPT-2's own pattern."""
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not steps)
    return pre_tokenizers.Sequence([*steps, last]) if steps else last


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(pre, normalizer=None, bos=None, eos=None, **more):
    t = Tokenizer(models.BPE(**more))
    t.pre_tokenizer, t.decoder = pre, decoders.ByteLevel()
    if normalizer:
        t.normalizer = normalizer
    return t, pre_tokenizers.ByteLevel.alphabet(), bos, eos


def sentence_like(normalizer=None, pre=None, bos="<s>", strip=True):
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    t.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))
    return t, [], bos, None


def metaspace(scheme, cut=False):
    return pre_tokenizers.Metaspace(SPACE, scheme, cut)


def digits(one=True):
    return pre_tokenizers.Digits(individual_digits=one)


KINDS = {
    "GPT-2": lambda: byte_level(bytes_of()),
    "RoBERTa (prefix space, <s> </s>)": lambda: byte_level(
        pre_tokenizers.ByteLevel(add_prefix_space=True), bos="<s>", eos="</s>"),
    "Llama 3": lambda: byte_level(bytes_of(split(GPT4)), bos="<|begin_of_text|>",
                                  ignore_merges=True),
    "Qwen 2 (NFC)": lambda: byte_level(bytes_of(split(QWEN)), normalizers.NFC()),
    "GPT-4o": lambda: byte_level(bytes_of(split(GPT4O))),
    "BLOOM": lambda: byte_level(bytes_of(split(BLOOM))),
    "StarCoder (digits)": lambda: byte_level(pre_tokenizers.Sequence(
        [digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
    "Falcon": lambda: byte_level(pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
         digits(False), split("[0-9][0-9][0-9]")])),
    "DeepSeek": lambda: byte_level(bytes_of(
        split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"),
        digits())),
    "split at a string, with the next": lambda: byte_level(
        bytes_of(pre_tokenizers.Split(" ", "merged_with_next"))),
    "split at spaces, with the one before": lambda: byte_level(
        bytes_of(split(r"\s", "merged_with_previous"))),
    "spaces removed": lambda: byte_level(bytes_of(split(r"\s+", "removed"))),
    "words, the rest in between (invert)": lambda: byte_level(
        bytes_of(split(r"\w+|[^\w\s]+", "removed", True))),
    "NFKC, lower case": lambda: byte_level(
        bytes_of(), normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
    "Llama 2 (Prepend, Replace)": lambda: sentence_like(normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])),
    "Metaspace, first": lambda: sentence_like(pre=metaspace("first")),
    "Metaspace, always": lambda: sentence_like(pre=metaspace("always")),
    "Metaspace, never": lambda: sentence_like(pre=metaspace("never"), strip=False),
    "Metaspace, always, split": lambda: sentence_like(pre=metaspace("always", True)),
    "Gemma (Replace, split at spaces)": lambda: sentence_like(
        normalizers.Replace(" ", SPACE), pre_tokenizers.Split(" ", "merged_with_previous"),
        bos="<bos>", strip=False),
}


def template(bos, eos):
    parts = ([bos] if bos else []) + ["$A"] + ([eos] if eos else [])
    return " ".join(parts)


def train(kind, texts, size, end):
    """A tokenizer of that kind, with special and other added tokens."""
    tokenizer, alphabet, bos, eos = KINDS[kind]()
    special = ["<unk>"] + [f"<0x{i:02X}>" for i in range(256)] if not alphabet else []
    special += [token for token in (bos, eos, end) if token]
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False,
                                  special_tokens=special, max_token_length=16)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken("LRPIPE", normalized=False), AddedToken("lower upper"),
                          AddedToken("oneword", single_word=True, normalized=False),
                          AddedToken("left|", lstrip=True, normalized=False),
                          AddedToken("|right", rstrip=True, normalized=False)])
    if bos or eos:
        pairs = [(token, tokenizer.token_to_id(token)) for token in (bos, eos) if token]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template(bos, eos), special_tokens=pairs)
    return tokenizer, bos, eos


def bytes_are_no_tokens(path):
    """Byte pieces of a trained file are special added tokens; those of models are not."""
    with open(path, encoding="utf-8") as f:
        content = json.load(f)
    content["added_tokens"] = [t for t in content["added_tokens"]
                               if not t["content"].startswith("<0x")]
    with open(path, "w", encoding="utf-8") as f:
        json.dump(content, f, ensure_ascii=False)


def write(kind, texts, folder, size=1500, end=None):
    """A model directory with nothing but that tokenizer; end: an EOS that is added nowhere."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "tokenizer.json")
    tokenizer, bos, eos = train(kind, texts, size, end)
    tokenizer.save(path)
    bytes_are_no_tokens(path)
    names = {k: v for k, v in (("bos_token", bos), ("eos_token", eos or end)) if v}
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", **names}, f)
    return Tokenizer.from_file(path), bos


ODD = ("", " ", "  ", "\n", "\t \n\n x", "a  b   c    d", " leading", "trailing ", "don't DON'T I'LL",
       "ſ's", "1234567890 12 3.14",
       "x=1;y=2//z", "¿Qué?  ¡Sí!", "日本語のテキスト。漢字", "한국어 텍스트",
       "русский текст", "عربى ، نص", "हिन्दी पाठ।", "e\u0301 é n\u0303", "\u00a0nbsp\u2003em\u3000",
       "👩‍👩‍👧 🏳️‍🌈", "A\u200dB", "<s>text</s>", "a<s> b", "LRPIPE xLRPIPEx", "oneword xoneword",
       "a   left| b", "a |right   b", "lower upper LOWER UPPER", "\ufeffbom", "ﬁ ﬂ Å ½",
       "tab\tseparated\tvalues", "a\r\nb\r\n\r\nc", "İstanbul ǅ ß", "\u0e01\u0e33 ไทย", "..." * 40,
       "a" * 300, "ab" * 200, " " * 65)


def odd_texts(count, seed=7):
    """The ones above, and random mixtures of all sorts of characters."""
    draw = random.Random(seed)
    pools = ["abcdefgh", "ABC", "0123456789", "  \n\t", ".,;:!?'\"-_/\\()[]{}<>|", "äöüßéñ", "漢字かな",
             "हिन्दी", "العربية", "😀👍🏽\u200d", "\u0300\u0301\u0327", "\u00a0\u2009\u3000", SPACE]
    mixed = []
    for _ in range(count):
        parts = (draw.choice(pools) for _ in range(draw.randint(1, 12)))
        mixed.append("".join("".join(draw.choices(p, k=draw.randint(1, 4))) for p in parts))
    return list(ODD) + mixed


def ask(program, folder, texts):
    """Answers of lrpipe's tokenizer, or what it says against it."""
    lines = "".join(json.dumps([text]) + "\n" for text in texts)
    result = subprocess.run([program, folder], input=lines, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    if result.returncode != 0:
        return None, result.stderr.strip().replace("lrpipe: error: ", "")
    return [json.loads(line) for line in result.stdout.splitlines()], None


def encode(reference, text, bos):
    """As lm-evaluation-harness does: a text that starts with BOS gets none."""
    return reference.encode(text, add_special_tokens=not (bos and text.startswith(bos))).ids


def compare(program, folder, reference, bos, texts):
    """Row of the table: how many texts have other ids, other decoded text; the first of them."""
    answers, refused = ask(program, folder, texts)
    if refused:
        return {"texts": len(texts), "refused": refused}
    row = {"texts": len(texts), "ids": 0, "decoded": 0, "first": None}
    for text, ours in zip(texts, answers):
        with_special = encode(reference, text, bos)
        plain = reference.encode(text, add_special_tokens=False).ids
        same = ours["ids"] == with_special and ours["plain"] == plain
        row["ids"] += not same
        row["decoded"] += ours["text"] != reference.decode(plain)
        if not same and not row["first"]:
            row["first"] = {"text": text, "lrpipe": ours["ids"], "reference": with_special}
    return row


def check(program, texts, folder, kinds=None):
    """Name of a kind -> row."""
    sample = texts[:1500] + odd_texts(1500)
    rows = {}
    for i, kind in enumerate(kinds or KINDS):
        where = os.path.join(folder, f"kind{i}")
        reference, bos = write(kind, texts, where)
        rows[kind] = compare(program, where, reference, bos, sample)
    return rows
