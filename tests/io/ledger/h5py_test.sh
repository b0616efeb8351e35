#!/bin/bash
# An independent reader (h5py) sees the types, the values and the journal of a finished ledger.
# h5py_test.sh WORKER MPIEXEC DIRECTORY
set -u
worker=$1 mpiexec=$2
if ! env -u LD_PRELOAD /usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null; then
  echo "h5py_test: skipped: /usr/bin/python3 has no h5py"
  exit 77
fi
dir=$(mktemp -d "$3/h5py_test.XXXXXX") || exit 1
file=$dir/factors.h5
"$worker" create "$file" && "$mpiexec" -np 2 "$worker" run "$file" &&
  /usr/bin/python3 "$(dirname "$0")/read_with_h5py.py" "$file"
status=$?
rm -rf "$dir"
exit $status
