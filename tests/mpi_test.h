/** @file tests/mpi_test.h
 *  cmocka on every process rank of MPI_COMM_WORLD. */
#ifndef LRP_TESTS_MPI_TEST_H
#define LRP_TESTS_MPI_TEST_H

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/** Assert cond on every process rank: one failure fails all, none is left waiting. Collective. */
#define assert_all_ranks(cond)                                               \
  do {                                                                       \
    int ok_ = (cond);                                                        \
    MPI_Allreduce(MPI_IN_PLACE, &ok_, 1, MPI_INT, MPI_LAND, MPI_COMM_WORLD); \
    if (!ok_) print_error("on some rank: %s\n", #cond);                      \
    assert_true(ok_);                                                        \
  } while (0)

#endif
