"""Every allocation that fails ends the run with one message, and the next run goes on."""

import fault
import lrp
from fault import Fault


class Memory(fault.Case):
    def out_of_memory(self, result):
        self.assert_failed(result, [71], r"out of memory: \d+ bytes for |cannot map")

    def test_one_process_rank(self):
        numbers = self.numbers("memory", 45)
        self.each([Fault("memory", n) for n in numbers], self.out_of_memory)

    def test_one_of_two_process_ranks(self):
        for rank in (0, 1):
            numbers = self.numbers("memory", 18, 2, rank)
            self.each([Fault("memory", n, rank=rank) for n in numbers], self.out_of_memory, 2)


if __name__ == "__main__":
    lrp.main()
