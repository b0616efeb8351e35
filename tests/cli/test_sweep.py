"""What requests and configurations share changes how much is computed, and nothing else."""

import unittest

import lrp

LAYERS = 8


class Sweep(lrp.Case):
    MODEL = ("--hidden", 48, "--intermediate", 80, "--layers", LAYERS, "--heads", 4,
             "--kv-heads", 2, "--vocab", 400, "--max-position", 256)

    def single_layers(self):
        return [{"name": f"layer-{l}", "layers": [l], "tensors": "all", "rank": 1}
                for l in range(LAYERS)]

    def products(self, out):
        return lrp.read_json(out, "tradeoff.json")["evaluation"]["layer_token_products"]

    def test_equals_separate_runs(self):
        mixed = self.single_layers() + [
            {"name": "dense"}, {"name": "half", "layers": ["0:6:2"], "tensors": ["up_proj"],
                                "rank": 3},
            {"name": "same-as-layer-2", "layers": [2], "tensors": "all", "rank": 1}]
        job, out = self.job("all", configurations=mixed)
        self.complete(job, 2)
        for one in mixed:
            job, alone = self.job("one-" + one["name"], configurations=[one])
            self.complete(job, 1)
            for task in ("arc_easy", "piqa"):
                self.assertEqual(lrp.samples(alone, one["name"], task),
                                 lrp.samples(out, one["name"], task), (one["name"], task))

    def test_products(self):
        job, out = self.job("count", configurations=self.single_layers())
        self.complete(job, 1)
        products = self.products(out)
        alone = products["each_configuration_alone"]
        # One way through the dense layers, and a rest of it for each configuration, in a single
        # process rank's walk over all configurations or over a few groups of them.
        ideal = (LAYERS - 1 + LAYERS * (LAYERS + 1) / 2) / LAYERS ** 2
        self.assertGreaterEqual(products["computed"], ideal * alone * 0.999)
        self.assertLess(products["computed"], 0.75 * alone)
        self.assertLess(alone, products["each_request_alone"])

    def test_without_prefix_sharing(self):
        job, out = self.job("shared")
        self.complete(job, 2)
        plain = self.path("plain.out")
        self.complete(job, 2, "--no-prefix-sharing", "--set", f"output={plain}")
        self.assertEqual(lrp.scores(plain), lrp.scores(out))
        products = self.products(plain)
        self.assertGreater(products["computed"], 1.5 * self.products(out)["computed"])
        self.assertLessEqual(products["computed"], products["each_request_alone"])

    def test_grows_and_goes_on(self):
        job, out = self.job("grow", configurations=self.single_layers()[:3])
        self.complete(job, 2)
        before = self.products(out)["computed"]
        lrp.write_job(job, lrp.job(self.model, out, self.data,
                                   configurations=self.single_layers()))
        self.complete(job, 3)
        whole, fresh = self.job("fresh", configurations=self.single_layers())
        self.complete(whole, 2)
        self.assertEqual(lrp.scores(out), lrp.scores(fresh))
        self.assertGreater(self.products(out)["computed"], before)


if __name__ == "__main__":
    lrp.main()
