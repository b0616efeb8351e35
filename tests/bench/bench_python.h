/** @file tests/bench/bench_python.h
 *  A Python that answers lines of JSON beside the benchmark. */
#ifndef LRP_TESTS_BENCH_PYTHON_H
#define LRP_TESTS_BENCH_PYTHON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "kernels/status.h"

typedef struct {
  const char *script; /* borrowed */
  pid_t pid;          /* 0: not running */
  FILE *to, *from;    /* owned */
  char version[64];   /* of what it measures */
} lrp_bench_python;

/** Have python run script, with that many threads. Local. It says {"version": ..}, or {"error": ..}
 *  where it lacks something. That, and a python that is not there, is said on stderr, and *out is
 *  not running; nothing else may be called then but stop.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_IO, LRP_ERR_DATA */
lrp_status lrp_bench_python_start(const char *python, const char *script, int threads,
                                  lrp_bench_python *out);

/** End it. Local; accepts one that is not running. */
void lrp_bench_python_stop(lrp_bench_python *p);

/** One request, which is taken over (NULL: there was no memory for it), and its answer, an object
 *  owned by the caller, NULL upon failure. Local.
 *  @return LRP_OK, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_DATA */
lrp_status lrp_bench_python_ask(lrp_bench_python *p, json_t *request, json_t **answer);

/** Whether the answer is {"error": ..}, which is said on stderr. Local. */
bool lrp_bench_python_complains(const lrp_bench_python *p, const json_t *answer);

/** A request, which is taken over, that must succeed. Local. @return as ask */
lrp_status lrp_bench_python_demand(lrp_bench_python *p, json_t *request);

/** A request, which is taken over, that is answered by {"seconds": ..}. Local.
 *  @param[out] seconds  NaN if it failed, which is said on stderr
 *  @return as ask */
lrp_status lrp_bench_python_time(lrp_bench_python *p, json_t *request, double *seconds);

#endif
