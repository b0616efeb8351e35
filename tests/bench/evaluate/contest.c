#include "tests/bench/evaluate/contest.h"

#include <fnmatch.h>
#include <math.h>
#include <unistd.h>

#include "tests/bench/bench_load.h"
#include "tests/bench/bench_timing.h"
#include "tests/bench/evaluate/model.h"
#include "tests/bench/evaluate/peak.h"

enum { passes_max = LRP_BENCH_PASSES_MAX * (1 + LRP_BENCH_RIVALS_MAX) };

static const char *const kinds[LRP_BENCH_KINDS] = {"torch", "transformers"};

/* The times of lrpipe so far. */
typedef struct {
  lrp_bench_llama model;
  double seconds[passes_max];
  int n;
} ours;

static lrp_status run_ours(ours *o, double *seconds) {
  const lrp_status st = lrp_bench_llama_run(&o->model, seconds);
  if (st == LRP_OK) o->seconds[o->n++] = *seconds;
  return st;
}

/* The first pass makes room and is not counted. The peak is measured between passes: a virtual
 * machine has not always the whole of its processors. */
static lrp_status run_alone(const lrp_bench_ways *ways, ours *o, lrp_bench_times *out) {
  const double long_s = 2.0;
  double seconds = 0.0;
  lrp_status st = lrp_bench_llama_run(&o->model, &seconds);
  out->repeats = ways->repeats > 0 ? ways->repeats : seconds > long_s ? 3 : 7;
  out->peak = lrp_bench_peak(o->model.pass->dtype);
  for (int i = 0; st == LRP_OK && i < out->repeats; i++) {
    st = run_ours(o, &seconds);
    out->peak = fmax(out->peak, lrp_bench_peak(o->model.pass->dtype));
  }
  return st;
}

static json_t *describe(const lrp_bench_pass *pass, const char *kind) {
  const lrp_llama_config *c = &pass->shape->config;
  static const char *const wanted[] = {"last", "all", "layers"};
  return json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:i, s:I, s:i, s:I, s:s}", "do", "load",
                   "kind", kind, "dtype", lrp_dtype_name(pass->dtype), "hidden",
                   (json_int_t)c->hidden_size, "ffn", (json_int_t)c->intermediate_size, "layers",
                   c->num_hidden_layers, "heads", c->num_attention_heads, "kv_heads",
                   c->num_key_value_heads, "vocab", (json_int_t)c->vocab_size, "tokens",
                   LRP_BENCH_TOKENS, "rank",
                   (json_int_t)lrp_bench_pass_rank(pass, c->hidden_size, c->hidden_size), "wanted",
                   wanted[pass->wanted]);
}

/* In turns, after a pass that is not counted. */
static lrp_status race_loaded(lrp_bench_python *python, ours *o, int repeats,
                              lrp_bench_rival *rival) {
  double theirs[LRP_BENCH_PASSES_MAX], mine[LRP_BENCH_PASSES_MAX], last;
  int n = 0;
  lrp_status st = lrp_bench_python_time(python, json_pack("{s:s}", "do", "run"), &last);
  while (st == LRP_OK && n < repeats && !isnan(last)) {
    st = run_ours(o, &mine[n]);
    if (st == LRP_OK) st = lrp_bench_python_time(python, json_pack("{s:s}", "do", "run"), &last);
    theirs[n++] = last;
  }
  rival->seconds = isnan(last) ? NAN : lrp_bench_median(theirs, n);
  rival->ours = lrp_bench_median(mine, n);
  return st;
}

static lrp_status race_with(lrp_bench_python *python, const lrp_bench_pass *pass, ours *o,
                            const char *kind, lrp_bench_times *out) {
  lrp_bench_rival *rival = &out->rivals[out->n_rivals];
  json_t *answer;
  lrp_status st = lrp_bench_python_ask(python, describe(pass, kind), &answer);
  const bool absent = json_is_true(json_object_get(answer, "absent"));
  if (st == LRP_OK && !absent && !lrp_bench_python_complains(python, answer)) {
    const char *version = json_string_value(json_object_get(answer, "version"));
    snprintf(rival->version, sizeof rival->version, "%s", version ? version : "unknown");
    st = race_loaded(python, o, out->repeats, rival);
    out->n_rivals++;
    if (st == LRP_OK) st = lrp_bench_python_demand(python, json_pack("{s:s}", "do", "drop"));
  }
  json_decref(answer);
  return st;
}

static lrp_status race_with_all(const lrp_bench_ways *ways, const lrp_bench_pass *pass, ours *o,
                                lrp_bench_times *out) {
  lrp_status st = LRP_OK;
  for (int p = 0; p < LRP_BENCH_PYTHONS; p++) {
    for (int k = 0; st == LRP_OK && k < LRP_BENCH_KINDS; k++) {
      lrp_bench_rival *rival = &out->rivals[out->n_rivals];
      snprintf(rival->name, sizeof rival->name, "%s%s", p > 0 ? "current " : "", kinds[k]);
      rival->plain = k == 0;
      if (ways->pythons[p].pid == 0) continue;
      if (ways->peers && fnmatch(ways->peers, rival->name, 0) != 0) continue;
      if (k > 0 && pass->divisor > 0) continue; /* transformers has no such layers */
      st = race_with(&ways->pythons[p], pass, o, kinds[k], out);
    }
  }
  return st;
}

lrp_status lrp_bench_race(const lrp_bench_ways *ways, const lrp_bench_pass *pass,
                          lrp_bench_times *out) {
  pid_t pids[LRP_BENCH_LOAD_PIDS] = {getpid()};
  ours o = {.n = 0};

  *out = (lrp_bench_times){.seconds = NAN};
  for (int p = 0; p < LRP_BENCH_PYTHONS; p++) pids[p + 1] = ways->pythons[p].pid;
  lrp_status st = lrp_bench_llama_create(pass, &o.model);
  const lrp_bench_load from = lrp_bench_load_now(pids);
  if (st == LRP_OK) st = run_alone(ways, &o, out);
  if (st == LRP_OK) st = race_with_all(ways, pass, &o, out);
  out->other_load = lrp_bench_load_of_others(from, lrp_bench_load_now(pids));
  out->seconds = lrp_bench_median(o.seconds, o.n); /* sorts them */
  out->best = o.seconds[0];
  lrp_bench_llama_free(&o.model);
  return st;
}
