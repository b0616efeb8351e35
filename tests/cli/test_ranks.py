"""The same job with any number of process ranks gives the same results."""

import unittest

import lrp


class Ranks(lrp.Case):
    def outputs(self, name, ranks, *args):
        job, _ = self.job(name)
        out = self.path(f"{name}.{ranks}")
        self.complete(job, ranks, "--set", f"output={out}", *args)
        return out

    def test_scores_are_identical(self):
        one = lrp.scores(self.outputs("scores", 1))
        self.assertIn("all_r4/samples_piqa.jsonl", one)
        for ranks in (None, 2, 3, 4, 8):
            self.assertEqual(lrp.scores(self.outputs("scores", ranks)), one, ranks)

    @unittest.skipUnless(lrp.have_h5py(), "needs h5py")
    def test_factor_bits_are_identical(self):
        one = lrp.factors(self.outputs("bits", 1))
        self.assertEqual(len(one), 3 * 7 * 3)
        for ranks in (3, 4):
            other = lrp.factors(self.outputs("bits", ranks))
            self.assertEqual(one.keys(), other.keys())
            for name in one:
                self.assertEqual(one[name].tobytes(), other[name].tobytes(), name)

    @unittest.skipUnless(lrp.have_h5py(), "needs h5py")
    def test_grid_agrees(self):
        import numpy as np
        one = lrp.factors(self.outputs("grid", 1))
        for ranks in (2, 3, 4, 8):
            out = self.outputs("grid", ranks, "--set", "decompose.grid_elements=1")
            self.assertIn(",grid", lrp.read(out, "tensors.csv"))
            other = lrp.factors(out)
            for name in one:
                np.testing.assert_allclose(other[name], one[name], atol=1e-5, err_msg=name)

    def test_many_ranks(self):
        one = lrp.scores(self.outputs("many", 1))
        self.assertEqual(lrp.scores(self.outputs("many", 64)), one)

    def test_complete_job_says_so(self):
        job, out = self.job("twice")
        self.complete(job, 2)
        before = lrp.digests(out)
        self.assertIn("factors.h5", before)
        for ranks in (2, 3, None):
            result = self.complete(job, ranks)
            self.assertIn("already complete", result.stdout)
        self.assertEqual(lrp.digests(out), before)


if __name__ == "__main__":
    lrp.main()
