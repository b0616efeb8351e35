"""lrpipe space as a command: its formats agree, a reader may go away, and a full disk is said."""

import csv
import io
import json
import os
import subprocess
import tempfile
import unittest

import lrp

BERT_BASE = {
    "architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 768,
    "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "max_position_embeddings": 512, "type_vocab_size": 2, "vocab_size": 30522,
    "hidden_act": "gelu", "layer_norm_eps": 1e-12,
}


class Space(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="lrpipe-space-")
        self.addCleanup(folder.cleanup)
        self.model = folder.name
        with open(os.path.join(self.model, "config.json"), "w", encoding="utf-8") as f:
            json.dump(BERT_BASE, f)

    def space(self, *args):
        result = lrp.run(["space", self.model, *args])
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def test_formats_agree(self):
        options = ("--sample", "30", "--seed", "5", "--rank", "1,16,64", "--distance", "2")
        rows = list(csv.DictReader(io.StringIO(self.space(*options, "--format", "csv"))))
        document = json.loads(self.space(*options, "--format", "json"))
        table = self.space(*options).splitlines()[4:]
        self.assertEqual([len(rows), len(document["configurations"]), len(table)], [30, 30, 30])
        for row, other, line in zip(rows, document["configurations"], table):
            for key in ("number", "parameters", "bytes_float32", "bytes_16bit", "flops_per_token"):
                self.assertEqual(int(row[key]), other[key])
            for key in ("reduction_percent", "flops_per_byte_float32", "flops_per_byte_16bit"):
                self.assertEqual(float(row[key]), other[key])
            self.assertEqual(other["flops_per_byte_16bit"],
                             other["flops_per_token"] / other["bytes_16bit"])
            self.assertEqual(json.loads(f"[{row['layers']}]"), other["layers"])
            self.assertEqual(set(map(str, other["ranks"].values())), set(row["rank"].split(",")))
            self.assertEqual(row["tensors"].split(",") if row["tensors"] != "all" else 6,
                             list(other["ranks"]) if row["tensors"] != "all"
                             else len(other["ranks"]))
            self.assertEqual(line.split()[-3:], [row["rank"], row["tensors"], row["layers"]])

    def test_count_is_the_number_of_rows(self):
        options = ("--tensors", "attention", "--distance", "3", "--keep-first", "1")
        rows = list(csv.DictReader(io.StringIO(
            self.space(*options, "--enumerate", "--rows", "0", "--format", "csv"))))
        self.assertEqual(len({row["layers"] for row in rows}), len(rows))
        count = list(csv.DictReader(io.StringIO(self.space(*options, "--format", "csv"))))
        self.assertEqual(int(count[0]["configurations"]), len(rows))
        first = self.space(*options, "--enumerate", "--format", "csv").splitlines()
        self.assertEqual(len(first), 1 + min(len(rows), 100))

    def test_reader_goes_away(self):
        script = 'set -o pipefail; "$0" space "$1" --enumerate --rows 0 --format csv | head -2'
        result = subprocess.run(["bash", "-c", script, lrp.LRPIPE, self.model], timeout=60,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(len(result.stdout.splitlines()), 2)

    def test_full_disk(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([lrp.LRPIPE, "space", self.model, "--enumerate", "--rows", "0"],
                                    stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, 74, result.stderr)
        self.assertEqual(len(lrp.errors(result)), 1)
        self.assertIn("standard output", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
