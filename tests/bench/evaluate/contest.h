/** @file tests/bench/evaluate/contest.h
 *  A case timed beside its peers. */
#ifndef LRP_TESTS_BENCH_EVALUATE_CONTEST_H
#define LRP_TESTS_BENCH_EVALUATE_CONTEST_H

#include "tests/bench/bench_python.h"
#include "tests/bench/evaluate/cases.h"

/** Pythons: the distribution's and another one. In each, PyTorch by itself and transformers. */
enum {
  LRP_BENCH_PYTHONS = 2,
  LRP_BENCH_KINDS = 2,
  LRP_BENCH_RIVALS_MAX = LRP_BENCH_PYTHONS * LRP_BENCH_KINDS,
  LRP_BENCH_PASSES_MAX = 50
};

typedef struct {
  const char *peers;         /* shell pattern of their names; NULL: all, "": none */
  int repeats;               /* 0: 3 of what takes more than 2 s, 7 of the rest */
  lrp_bench_python *pythons; /* borrowed, LRP_BENCH_PYTHONS, some not running */
} lrp_bench_ways;

typedef struct {
  char name[32];    /* "torch", "current transformers" */
  char version[64]; /* of PyTorch or transformers */
  bool plain;       /* PyTorch without transformers */
  double seconds;   /* median of a pass, NaN if it failed */
  double ours;      /* of lrpipe, in turns with it */
} lrp_bench_rival;

typedef struct {
  double seconds; /* median of a pass of lrpipe, of those without and with peers */
  double best;    /* the shortest one */
  int repeats;    /* of each */
  lrp_bench_rival rivals[LRP_BENCH_RIVALS_MAX];
  int n_rivals;      /* those that are there and do such passes */
  double peak;       /* flops/s of the type, the best of before and after passes; NaN: none */
  double other_load; /* part of all cores that others used meanwhile */
} lrp_bench_times;

/** Time a case: lrpipe alone, then in turns with each peer, which are loaded one after the other,
 *  for memory. Local. @return LRP_OK, or what lrp_bench_llama_* and lrp_bench_python_* return */
lrp_status lrp_bench_race(const lrp_bench_ways *ways, const lrp_bench_pass *pass,
                          lrp_bench_times *out);

#endif
