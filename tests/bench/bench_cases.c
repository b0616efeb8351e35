#include "tests/bench/bench_cases.h"

#include <fnmatch.h>
#include <stdio.h>

static const lrp_bench_case cases[] = {
    {LRP_BENCH_LLM, 4096, 4096, 2048, 2176, false, {LRP_BENCH_SVD, 1 / 4.0, 1 / 6.0, 1e-6}},
    {LRP_BENCH_LLM, 4096, 4096, 512, 576, false, {LRP_BENCH_SVD, 1 / 6.0, 1 / 9.0, 1e-6}},
    {LRP_BENCH_LLM, 4096, 4096, 128, 160, false, {LRP_BENCH_LOWRANK, 0.67, 0, 1e-4}},
    {LRP_BENCH_LLM, 4096, 4096, 16, 32, false, {LRP_BENCH_LOWRANK, 1 / 4.0, 1 / 5.5, 2e-4}},
    {LRP_BENCH_LLM, 4096, 4096, 1, 7, false, {LRP_BENCH_LOWRANK, 1 / 6.0, 1 / 9.0, 1e-5}},
    {LRP_BENCH_OUTLIER, 4096, 4096, 2048, 2176, false, {LRP_BENCH_LLM_TIME, 1.5, 0, 1e-6}},
    {LRP_BENCH_OUTLIER, 4096, 4096, 512, 576, false, {LRP_BENCH_LLM_TIME, 1.5, 0, 1e-6}},
    {LRP_BENCH_OUTLIER, 4096, 4096, 128, 160, false, {LRP_BENCH_LLM_TIME, 1.5, 0, 1e-4}},
    {LRP_BENCH_OUTLIER, 4096, 4096, 16, 32, false, {LRP_BENCH_LLM_TIME, 1.5, 0, 2e-4}},
    {LRP_BENCH_GAUSS, 4096, 4096, 2048, 2176, false, {LRP_BENCH_NOBODY, 0, 0, 1e-6}},
    {LRP_BENCH_GAUSS, 4096, 4096, 128, 160, false, {LRP_BENCH_LOWRANK, 1.5, 0, 1e-4}},
    {LRP_BENCH_GAUSS, 4096, 4096, 16, 32, false, {LRP_BENCH_LOWRANK, 1 / 2.5, 0, 2e-4}},
    {LRP_BENCH_LLM, 11008, 4096, 2048, 2176, false, {LRP_BENCH_SVD, 1 / 4.0, 1 / 6.0, 1e-6}},
    {LRP_BENCH_LLM, 11008, 4096, 512, 576, false, {0}},
    {LRP_BENCH_LLM, 11008, 4096, 128, 160, false, {0}},
    {LRP_BENCH_LLM, 11008, 4096, 16, 32, false, {0}},
    {LRP_BENCH_LLM, 11008, 4096, 1, 7, false, {0}},
    /* These take no time: they test the benchmark, whatever the machine. */
    {LRP_BENCH_LLM, 384, 256, 64, 128, true, {LRP_BENCH_SGESDD, 1e9, 1e-9, 1e-6}},
    {LRP_BENCH_LLM, 384, 256, 8, 16, true, {LRP_BENCH_SGESDD, 1e-9, 0, 1e-6}},
    {LRP_BENCH_OUTLIER, 384, 256, 8, 16, true, {LRP_BENCH_LLM_TIME, 1e9, 0, 1e-6}},
    {LRP_BENCH_GAUSS, 384, 256, 8, 16, true, {0}},
};
enum { n_cases = sizeof cases / sizeof cases[0] };

const char *lrp_bench_spectrum_name(lrp_bench_spectrum spectrum) {
  static const char *const names[] = {"llm", "gauss", "outlier"};
  return names[spectrum];
}

const char *lrp_bench_peer_name(lrp_bench_peer peer) {
  static const char *const names[] = {
      "nobody",           "llm",    "sgesdd", "torch.linalg.svd", "torch.svd_lowrank",
      "one process rank", "pdgesvd"};
  return names[peer];
}

int lrp_bench_case_count(void) {
  return n_cases;
}

const lrp_bench_case *lrp_bench_case_at(int i) {
  return &cases[i];
}

void lrp_bench_case_name(const lrp_bench_case *c, char *name, size_t size) {
  snprintf(name, size, "%s-%dx%d-r%d", lrp_bench_spectrum_name(c->spectrum), c->rows, c->cols,
           c->rank);
}

bool lrp_bench_case_matches(const lrp_bench_case *c, const char *pattern) {
  char name[64];

  if (!pattern) return !c->on_request;
  lrp_bench_case_name(c, name, sizeof name);
  return fnmatch(pattern, name, 0) == 0;
}

bool lrp_bench_same_matrix(const lrp_bench_case *a, const lrp_bench_case *b) {
  return a->spectrum == b->spectrum && a->rows == b->rows && a->cols == b->cols;
}

void lrp_bench_goal_text(const lrp_bench_goal *goal, char *text, size_t size) {
  text[0] = '\0';
  if (goal->ratio > 0.0) {
    snprintf(text, size, "<= %.3g of %s, excess <= %.0e", goal->ratio,
             lrp_bench_peer_name(goal->against), goal->excess);
  } else if (goal->excess > 0.0) {
    snprintf(text, size, "excess <= %.0e", goal->excess);
  }
}
