"""Byte pair encoding as Llama 2 has it: U+2581 for a space, bytes for what no piece covers."""
import re

MARK = "\u2581"
WORD = re.compile(MARK + "?[A-Za-z]+|[^A-Za-z]")


def marked(text):
    return text.replace(" ", MARK)


def merged(pieces, pair):
    out, i = [], 0
    while i < len(pieces):
        if tuple(pieces[i:i + 2]) == pair:
            out.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            out.append(pieces[i])
            i += 1
    return out


def train(texts):
    """Pieces and merges with which every word of the texts is one piece. No piece spans two words."""
    counts = {}
    for text in texts:
        for word in WORD.findall(marked(text)):
            counts[word] = counts.get(word, 0) + 1
    split = {word: list(word) for word in sorted(counts)}
    letters = sorted({c for word in counts for c in word} - {"\n"})
    vocab = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + letters
    merges = []
    while True:
        pairs = {}
        for word, pieces in split.items():
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] = pairs.get(pair, 0) + counts[word]
        if not pairs:
            return vocab, merges
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        vocab.append(best[0] + best[1])
        split = {word: merged(pieces, best) for word, pieces in split.items()}


class Tokenizer:
    def __init__(self, vocab, merges):
        self.ids = {piece: i for i, piece in enumerate(vocab)}
        self.merges = merges
        self.known = {}

    def word(self, word):
        if word not in self.known:
            pieces = list(word)
            for pair in self.merges:
                pieces = merged(pieces, pair)
            self.known[word] = [i for p in pieces for i in self.piece(p)]
        return self.known[word]

    def piece(self, piece):
        if piece in self.ids:
            return [self.ids[piece]]
        return [self.ids[f"<0x{b:02X}>"] for b in piece.encode()]

    def encode(self, text):
        """Ids of a text that goes on after others: without <s> and without a space in front."""
        return [i for word in WORD.findall(marked(text)) for i in self.word(word)]

    def json(self):
        """tokenizer.json of the same tokenizer."""
        added = [{"id": i, "content": piece, "single_word": False, "lstrip": False, "rstrip": False,
                  "normalized": False, "special": True}
                 for i, piece in enumerate(("<unk>", "<s>", "</s>"))]
        start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
        first = {"Sequence": {"id": "A", "type_id": 0}}
        second = {"Sequence": {"id": "B", "type_id": 1}}
        return {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": MARK},
                {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]},
            "pre_tokenizer": None,
            "post_processor": {
                "type": "TemplateProcessing", "single": [start, first],
                "pair": [start, first, {"SpecialToken": {"id": "<s>", "type_id": 1}}, second],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": MARK}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": True, "byte_fallback": True, "vocab": self.ids,
                      "merges": [" ".join(pair) for pair in self.merges]},
        }
