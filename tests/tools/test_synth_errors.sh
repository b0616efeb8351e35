#!/bin/sh
# Failures of synth_model: exit code, one line on stderr that names the cause.
# usage: test_synth_errors.sh path/to/synth_model
set -u
tool=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# expect CODE TEXT ARGUMENT...: the tool ends with CODE and one line that contains TEXT
expect() {
  code=$1 text=$2
  shift 2
  "$tool" "$@" >"$work/out" 2>"$work/err"
  got=$?
  lines=$(wc -l <"$work/err")
  if [ "$got" -ne "$code" ] || [ "$lines" -ne 1 ] || ! grep -qF -- "$text" "$work/err"; then
    echo "synth_model $*: exit $got (expected $code), stderr (expected '$text'):"
    cat "$work/err"
    failed=1
  fi
}

cd "$work" || exit 1
expect 2 'output directory is missing'
expect 2 "--colour" out --colour
expect 2 "--hidden: 'abc'" out --hidden abc
expect 2 "--hidden: '12x'" out --hidden 12x
expect 2 "--layers: '0'" out --layers 0
expect 2 "--layers: the value is missing" out --layers
expect 2 "--vocab: '99999999999999999999'" out --vocab 99999999999999999999
expect 2 "--dtype: 'float64'" out --dtype float64
expect 2 "--rope-theta: 'nan'" out --rope-theta nan
expect 2 '--tied takes no value' out --tied=yes
expect 2 "unexpected argument 'two'" one two
expect 2 '--heads: 5' out --heads 5
expect 2 '--kv-heads: 3' out --kv-heads 3
expect 2 'is odd' out --head-dim 7
expect 2 'for --arch llama only' out --arch bert --tied
expect 2 '--vocab: 353 is too small, at least 354' small --vocab 353
expect 2 '--vocab: 108 is too small, at least 109' small --arch bert --vocab 108

: >file
expect 73 'file/out' file/out
expect 73 'file' file
mkdir full && : >full/something
expect 73 'full: is not empty' full
mkdir empty
expect 66 'empty: holds no tokenizer' copy --tokenizer empty

# A file that may not grow beyond 64 blocks fails like a full disk.
(ulimit -f 64 && expect 74 'model.safetensors: cannot write' disk && [ $failed -eq 0 ]) || failed=1
[ ! -e disk/config.json ] || { echo 'config.json of a broken model was written'; failed=1; }

# The limits themselves are fine, and so is help.
"$tool" --help >help 2>&1 || { echo '--help failed'; failed=1; }
grep -q -- '--attention-bias' help || { echo '--help names no --attention-bias'; failed=1; }
"$tool" least --vocab 354 --layers 1 || failed=1
"$tool" least_bert --arch bert --vocab 109 --layers 1 || failed=1
"$tool" copy2 --tokenizer least --layers 1 || failed=1
cmp least/tokenizer.model copy2/tokenizer.model || failed=1

exit $failed
