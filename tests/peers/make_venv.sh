#!/bin/sh
# A virtual environment with the programs that lrpipe is compared with, from PyPI: PyTorch, Hugging
# Face transformers and tokenizers, lm-evaluation-harness. About 6 GB, outside of the source tree.
#   make_venv.sh [DIRECTORY]     default: $LRP_PEERS_VENV; $PYTHON: the Python it is made of
set -eu

venv=${1:-${LRP_PEERS_VENV:-}}
if [ -z "$venv" ]; then
  echo "make_venv.sh: name a directory, or set LRP_PEERS_VENV" >&2
  exit 2
fi

"${PYTHON:-python3}" -m venv "$venv"
# transformers reads tokenizer.model with sentencepiece and protobuf.
nice "$venv/bin/pip" install --quiet torch transformers tokenizers sentencepiece protobuf \
  'lm-eval[hf]'
"$venv/bin/pip" list 2>/dev/null |
  grep -E '^(torch|transformers|tokenizers|lm.eval|datasets|numpy) '
