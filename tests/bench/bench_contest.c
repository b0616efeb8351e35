#include "tests/bench/bench_contest.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench_load.h"
#include "tests/bench/bench_sgesdd.h"
#include "tests/bench/bench_timing.h"

static const double long_s = 2.0; /* what takes longer is repeated less */
enum { repeats_of_long = 3, repeats_of_short = 7 };

double lrp_bench_seconds(const lrp_bench_contender *c) {
  double sorted[LRP_BENCH_REPEATS_MAX];
  const int n = c->calls - 1;
  if (c->failed || n < 1) return NAN;
  memcpy(sorted, c->seconds, (size_t)n * sizeof *sorted);
  return lrp_bench_median(sorted, n);
}

const lrp_bench_contender *lrp_bench_find(const lrp_bench_contest *c, lrp_bench_peer peer,
                                          int torch, int which) {
  for (int i = 0; i < c->n_contenders; i++) {
    const lrp_bench_contender *p = &c->contenders[i];
    if (p->peer == peer && p->torch == torch && (p->which < 0 || p->which == which)) return p;
  }
  return NULL;
}

static void enter(lrp_bench_contest *c, lrp_bench_peer peer, int torch, int which) {
  c->contenders[c->n_contenders++] =
      (lrp_bench_contender){.peer = peer, .torch = torch, .which = which};
}

static bool is_asked(const lrp_bench_terms *terms, lrp_bench_peer peer) {
  return !terms->peers || fnmatch(terms->peers, lrp_bench_peer_name(peer), 0) == 0;
}

static void enter_all(lrp_bench_contest *c) {
  const lrp_bench_terms *terms = c->terms;
  for (int i = 0; i < c->n_cases; i++) {
    enter(c, LRP_BENCH_NOBODY, 0, i);
    if (c->llm.path) enter(c, LRP_BENCH_LLM_TIME, 0, i);
    for (int t = 0; t < LRP_BENCH_TORCHES; t++) {
      if (terms->torches[t].python.pid > 0 && is_asked(terms, LRP_BENCH_LOWRANK)) {
        enter(c, LRP_BENCH_LOWRANK, t, i);
      }
    }
  }
  if (is_asked(terms, LRP_BENCH_SGESDD)) enter(c, LRP_BENCH_SGESDD, 0, -1);
  for (int t = 0; t < LRP_BENCH_TORCHES; t++) {
    if (terms->torches[t].python.pid > 0 && is_asked(terms, LRP_BENCH_SVD))
      enter(c, LRP_BENCH_SVD, t, -1);
  }
}

/* The first call on a case is looked at. */
static lrp_status call_lrpipe(lrp_bench_contest *c, lrp_bench_contender *p, double *seconds) {
  lrp_bench_result of_llm;
  const bool is_llm = p->peer == LRP_BENCH_LLM_TIME;
  return lrp_bench_solve(is_llm ? &c->llm : &c->m, c->cases[p->which]->rank, &c->scratch,
                         !is_llm && p->calls == 0, seconds,
                         is_llm ? &of_llm : &c->results[p->which]);
}

static lrp_status call_sgesdd(lrp_bench_contest *c, lrp_bench_contender *p, double *seconds) {
  int ranks[LRP_BENCH_CASES_MAX];
  for (int i = 0; i < c->n_cases; i++) ranks[i] = c->cases[i]->rank;
  return lrp_bench_sgesdd(&c->m, p->calls == 0 ? c->n_cases : 0, ranks, seconds, p->quality);
}

static lrp_status call_torch(lrp_bench_contest *c, lrp_bench_contender *p, double *seconds) {
  lrp_bench_torch *torch = &c->terms->torches[p->torch];
  const int q = p->peer == LRP_BENCH_SVD ? 0 : c->cases[p->which]->q;
  lrp_status st = lrp_bench_torch_run(torch, q, seconds);
  for (int i = 0; st == LRP_OK && p->calls == 0 && i < c->n_cases; i++) {
    if (isnan(*seconds) || (p->which >= 0 && p->which != i)) continue;
    st = lrp_bench_torch_check(torch, &c->m, c->cases[i]->rank, &p->quality[i]);
  }
  return st;
}

static lrp_status call(lrp_bench_contest *c, lrp_bench_contender *p) {
  double seconds = NAN;
  lrp_status st;
  switch (p->peer) {
    case LRP_BENCH_SGESDD:
      st = call_sgesdd(c, p, &seconds);
      break;
    case LRP_BENCH_SVD:
    case LRP_BENCH_LOWRANK:
      st = call_torch(c, p, &seconds);
      break;
    default:
      st = call_lrpipe(c, p, &seconds);
  }
  if (st != LRP_OK) return st;
  p->failed = isnan(seconds);
  if (p->calls == 0) {
    p->warm_up_s = seconds;
  } else {
    p->seconds[p->calls - 1] = seconds;
  }
  p->calls++;
  return LRP_OK;
}

static bool has_turn(const lrp_bench_contest *c, const lrp_bench_contender *p) {
  int repeats = c->terms->repeats;
  if (p->failed) return false;
  if (p->calls == 0) return true;
  if (repeats == 0) repeats = p->warm_up_s > long_s ? repeats_of_long : repeats_of_short;
  return p->calls <= repeats;
}

static lrp_status take_turns(lrp_bench_contest *c) {
  lrp_status st = LRP_OK;
  bool again = true;
  while (again) {
    again = false;
    for (int i = 0; st == LRP_OK && i < c->n_contenders; i++) {
      if (!has_turn(c, &c->contenders[i])) continue;
      st = call(c, &c->contenders[i]);
      again = st == LRP_OK;
    }
  }
  return st;
}

/* The same, and what others did meanwhile. */
static lrp_status take_turns_and_watch(lrp_bench_contest *c) {
  pid_t pids[LRP_BENCH_LOAD_PIDS] = {getpid()};
  for (int i = 0; i < LRP_BENCH_TORCHES; i++) pids[i + 1] = c->terms->torches[i].python.pid;
  const lrp_bench_load start = lrp_bench_load_now(pids);
  const lrp_status st = take_turns(c);
  c->other_load = lrp_bench_load_of_others(start, lrp_bench_load_now(pids));
  return st;
}

static lrp_status open_matrices(lrp_bench_contest *c) {
  const lrp_bench_case *first = c->cases[0];
  const char *folder = c->terms->folder;
  lrp_status st = lrp_bench_matrix_open(folder, first->spectrum, first->rows, first->cols, &c->m);
  if (st == LRP_OK && first->spectrum == LRP_BENCH_OUTLIER) {
    st = lrp_bench_matrix_open(folder, LRP_BENCH_LLM, first->rows, first->cols, &c->llm);
  }
  for (int i = 0; st == LRP_OK && i < LRP_BENCH_TORCHES; i++) {
    if (c->terms->torches[i].python.pid > 0)
      st = lrp_bench_torch_load(&c->terms->torches[i], &c->m);
  }
  return st;
}

lrp_status lrp_bench_contest_run(const lrp_bench_terms *terms, const lrp_bench_case **cases,
                                 int n_cases, lrp_bench_contest *out) {
  *out = (lrp_bench_contest){.terms = terms, .n_cases = n_cases};
  for (int i = 0; i < n_cases; i++) out->cases[i] = cases[i];
  lrp_status st = open_matrices(out);
  if (st != LRP_OK) return st;
  enter_all(out);
  return take_turns_and_watch(out);
}

void lrp_bench_contest_free(lrp_bench_contest *c) {
  lrp_bench_matrix_free(&c->m);
  lrp_bench_matrix_free(&c->llm);
  lrp_scratch_free(&c->scratch);
  *c = (lrp_bench_contest){0};
}
