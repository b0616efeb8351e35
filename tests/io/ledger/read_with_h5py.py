"""Reads a finished ledger of the fixture without lrpipe."""
import sys

import h5py
import numpy as np


def expected(dataset, count):
    i = np.arange(count, dtype=np.uint64)
    return ((i * np.uint64(2654435761) >> np.uint64(13)) ^ np.uint64(dataset * 89) ^ np.uint64(0x5A)).astype(np.uint8)


def same(dataset, values):
    data = np.frombuffer(np.ascontiguousarray(values).tobytes(), dtype=np.uint8)
    assert np.array_equal(data, expected(dataset, data.size)), dataset


with h5py.File(sys.argv[1], "r") as f:
    factors = f["/factors/model.layers.0.self_attn.q_proj.weight"]
    assert factors["u1"].dtype == np.float32 and factors["u1"].shape == (37, 5)
    assert factors["core"].dtype == np.float16 and factors["core"].shape == (5, 3)
    assert f["/shared/loglik"].dtype == np.float64 and f["/shared/tokens"].dtype == np.int32
    assert f["/other/nothing"].shape == (0, 4)
    same(0, factors["u1"][:])
    same(1, factors["core"][:])
    same(3, f["/shared/loglik"][:])
    same(4, f["/shared/tokens"][:])
    same(5, f["/other/bytes"][:])

    # bfloat16 is the upper half of a float32: HDF5 converts it.
    spectrum = f["/spectrum/model.layers.0.self_attn.q_proj.weight"]
    read = np.empty(spectrum.shape, np.float32)
    spectrum.id.read(h5py.h5s.ALL, h5py.h5s.ALL, read, h5py.h5t.NATIVE_FLOAT)
    bits = expected(2, 2 * read.size).view(np.uint16).astype(np.uint32) << np.uint32(16)
    assert np.array_equal(read, bits.view(np.float32), equal_nan=True)

    journal = f["/journal"][:]
    assert (journal["state"] == 1).all() and (journal["attempt"] == 1).all()
    assert np.array_equal(journal["rank"], np.arange(24))
    assert np.array_equal(journal["relative_error"], 0.5 * np.arange(24))
    assert f.attrs["format"] == b"lrpipe test" and f.attrs["format_version"] == 1
    assert f["/plan/job"].size == 100003
