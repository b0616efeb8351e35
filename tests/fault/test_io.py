"""Every call of the file system that fails ends the run with one message, or not at all; a run
that is killed at any of them goes on."""

import errno

import fault
import lrp
from fault import Fault


class FailingFiles(fault.Case):
    def fails(self, points, most, codes, ranks=None, rank=0, **how):
        """Each sampled call of these kinds fails so: one of the exit codes."""
        numbers = self.numbers(points, most, ranks, rank)
        faults = [Fault(points, n, rank=rank, **how) for n in numbers]
        self.each(faults, lambda result: self.assert_failed(result, codes), ranks)

    def passes(self, points, most, **how):
        """Each sampled call of these kinds does less than was asked for: the run goes on."""
        faults = [Fault(points, n, **how) for n in self.numbers(points, most)]
        self.each(faults, lambda result: self.assertEqual(result.returncode, 0, result.stderr))

    def test_write(self):
        self.fails("write", 14, [73, 74], error=errno.ENOSPC)
        self.fails("write", 6, [73, 74], ranks=2, rank=1, error=errno.EIO)

    def test_sync(self):
        self.fails("sync", 8, [73, 74], error=errno.EIO)
        self.fails("sync", 4, [73, 74], ranks=2, rank=1, error=errno.EIO)

    def test_name(self):
        self.fails("name", 8, [73, 74], error=errno.ENOSPC)
        self.fails("name", 4, [77], error=errno.EACCES)

    def test_read(self):
        codes = [0, 74]  # HDF5 looks for its signature in more than one place
        self.fails("read", 10, codes, error=errno.EIO)
        self.fails("read", 4, codes, ranks=2, rank=1, error=errno.EIO)

    def test_map(self):
        self.fails("map", 2, [71], error=errno.ENOMEM)

    def test_half_written_and_half_read(self):
        self.passes("write", 6, action="short")
        self.passes("read", 6, action="short")

    def test_interrupted(self):
        self.passes("sync", 4, error=errno.EINTR)
        self.fails("read", 4, [0, 74], error=errno.EINTR)  # ROMIO does not try again
        self.fails("write", 4, [0, 74], error=errno.EINTR)  # nor do streams


class Killed(fault.Case):
    def killed(self, result):
        self.assertIn(result.returncode, (-9, 137), result.stderr)

    def test_one_process_rank(self):
        points = "write,sync,name"
        self.each([Fault(points, n, action="kill") for n in self.numbers(points, 16)], self.killed)

    def test_one_of_two_process_ranks(self):
        points = "write,sync,name"
        for rank in (0, 1):
            faults = [Fault(points, n, action="kill", rank=rank)
                      for n in self.numbers(points, 6, 2, rank)]
            self.each(faults, self.killed, 2)


if __name__ == "__main__":
    lrp.main()
