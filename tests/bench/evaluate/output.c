#include "tests/bench/evaluate/output.h"

#include <math.h>

#include "tests/bench/bench_line.h"

static const double other_load_max = 0.05; /* from there on it is said */

/* What is judged of a case. */
typedef struct {
  double rate;  /* tokens per second */
  double flops; /* per second */
  double peak;  /* flops per second, the best of this run so far; NaN: none */
  double share; /* of the peak */
  double dense; /* rate over that of the dense model, NaN: not in this run */
  double torch; /* rate over that of the fastest PyTorch, NaN: not there */
} view;

static view look(const lrp_bench_machine *machine, const lrp_bench_pass *pass,
                 const lrp_bench_times *times) {
  view v = {.rate = LRP_BENCH_TOKENS / times->seconds,
            .flops = lrp_bench_pass_flops(pass) / times->seconds,
            .dense = NAN,
            .torch = NAN};
  v.peak = isnan(times->peak) ? NAN : fmax(machine->peak[pass->dtype], times->peak);
  v.share = v.flops / v.peak;
  if (machine->dense && lrp_bench_pass_is_dense_of(machine->dense, pass)) {
    v.dense = machine->dense_seconds / times->seconds;
  }
  for (int i = 0; i < times->n_rivals; i++) {
    const lrp_bench_rival *r = &times->rivals[i];
    if (r->plain) v.torch = fmin(v.torch, r->seconds / r->ours); /* fmin takes the number */
  }
  return v;
}

/* The worst of two: missed, then open. */
static lrp_bench_verdict judge_one(double limit, double value, lrp_bench_verdict before) {
  if (limit <= 0.0 || before == LRP_BENCH_MISSED) return before;
  if (isnan(value)) return LRP_BENCH_OPEN;
  if (value < limit) return LRP_BENCH_MISSED;
  return before == LRP_BENCH_OPEN ? before : LRP_BENCH_REACHED;
}

static lrp_bench_verdict judge(const lrp_bench_limits *goal, const view *v) {
  lrp_bench_verdict verdict = judge_one(goal->share, v->share, LRP_BENCH_NO_GOAL);
  verdict = judge_one(goal->dense, v->dense, verdict);
  return judge_one(goal->torch, v->torch, verdict);
}

/* ---- JSON ---- */

static json_t *describe_rivals(const lrp_bench_times *times) {
  json_t *peers = json_object();
  for (int i = 0; i < times->n_rivals; i++) {
    const lrp_bench_rival *r = &times->rivals[i];
    json_t *peer = json_pack("{s:s}", "version", r->version);
    json_object_set_new(peer, "seconds", lrp_bench_real(r->seconds));
    json_object_set_new(peer, "lrpipe_seconds", lrp_bench_real(r->ours));
    json_object_set_new(peer, "tokens_per_s", lrp_bench_real(LRP_BENCH_TOKENS / r->seconds));
    json_object_set_new(peer, "ratio", lrp_bench_real(r->seconds / r->ours));
    json_object_set_new(peers, r->name, peer);
  }
  return peers;
}

static json_t *describe_shape(const lrp_bench_pass *pass) {
  const lrp_llama_config *c = &pass->shape->config;
  static const char *const wanted[] = {"last row", "all rows", "layers alone"};
  return json_pack("{s:I, s:I, s:i, s:i, s:i, s:I, s:s, s:I, s:i, s:s}", "hidden",
                   (json_int_t)c->hidden_size, "ffn", (json_int_t)c->intermediate_size, "layers",
                   c->num_hidden_layers, "heads", c->num_attention_heads, "kv_heads",
                   c->num_key_value_heads, "vocab", (json_int_t)c->vocab_size, "dtype",
                   lrp_dtype_name(pass->dtype), "rank",
                   (json_int_t)lrp_bench_pass_rank(pass, c->hidden_size, c->hidden_size), "tokens",
                   LRP_BENCH_TOKENS, "wanted", wanted[pass->wanted]);
}

static lrp_status print_json(const lrp_bench_machine *machine, const lrp_bench_pass *pass,
                             const lrp_bench_times *times, const view *v) {
  char name[64], goal[128];
  json_t *line = json_object();

  lrp_bench_pass_name(pass, name, sizeof name);
  lrp_bench_limits_text(&pass->goal, goal, sizeof goal);
  json_object_set_new(line, "case", json_string(name));
  json_object_update_missing_new(line, describe_shape(pass));
  lrp_bench_add_machine(line, machine->threads);
  json_object_set_new(line, "seconds", lrp_bench_real(times->seconds));
  json_object_set_new(line, "best_seconds", lrp_bench_real(times->best));
  json_object_set_new(line, "repeats", json_integer(times->repeats));
  json_object_set_new(line, "tokens_per_s", lrp_bench_real(v->rate));
  json_object_set_new(line, "gflops", lrp_bench_real(1e-9 * v->flops));
  json_object_set_new(line, "peak_gflops", lrp_bench_real(1e-9 * v->peak));
  json_object_set_new(line, "share", lrp_bench_real(v->share));
  json_object_set_new(line, "of_dense", lrp_bench_real(v->dense));
  json_object_set_new(line, "of_torch", lrp_bench_real(v->torch));
  json_object_set_new(line, "other_load", lrp_bench_real(times->other_load));
  json_object_set_new(line, "peers", describe_rivals(times));
  json_object_set_new(line, "goal", goal[0] ? json_string(goal) : json_null());
  json_object_set_new(line, "reached", lrp_bench_json_verdict(judge(&pass->goal, v)));
  if (pass->goal.stretch > 0.0) {
    const lrp_bench_verdict verdict = judge_one(pass->goal.stretch, v->share, LRP_BENCH_NO_GOAL);
    json_object_set_new(line, "stretch", json_real(pass->goal.stretch));
    json_object_set_new(line, "stretch_reached", lrp_bench_json_verdict(verdict));
  }
  return lrp_bench_print_line(line);
}

/* ---- table ---- */

void lrp_bench_print_head(void) {
  fprintf(stderr, "%-24s %-24s %9s %10s %8s %7s\n", "case", "", "seconds", "tokens/s", "of peak",
          "ratio");
}

static void print_table(const lrp_bench_pass *pass, const lrp_bench_times *times, const view *v,
                        lrp_bench_verdict verdict) {
  static const char *const texts[] = {"", "reached", "missed", "not judged: not in this run"};
  char name[64], goal[128];

  lrp_bench_pass_name(pass, name, sizeof name);
  fprintf(stderr, "%-24s %-24s %9.4f %10.1f", name, "lrpipe", times->seconds, v->rate);
  if (!isnan(v->share)) {
    fprintf(stderr, " %7.1f%% of %.0f GFLOP/s", 100.0 * v->share, 1e-9 * v->peak);
  }
  if (!isnan(v->dense)) fprintf(stderr, ", %.2f of dense", v->dense);
  fputc('\n', stderr);
  for (int i = 0; i < times->n_rivals; i++) {
    const lrp_bench_rival *r = &times->rivals[i];
    fprintf(stderr, "%-24s %-24s %9.4f %10.1f %8s %7.2f\n", "", r->name, r->seconds,
            LRP_BENCH_TOKENS / r->seconds, "", r->seconds / r->ours);
  }
  lrp_bench_limits_text(&pass->goal, goal, sizeof goal);
  if (goal[0]) fprintf(stderr, "%25sgoal %s: %s\n", "", goal, texts[verdict]);
  if (times->other_load > other_load_max) {
    fprintf(stderr, "warning: others used %.0f %% of the cores: times are too long\n",
            100.0 * times->other_load);
  }
}

lrp_status lrp_bench_print_pass(lrp_bench_machine *machine, const lrp_bench_pass *pass,
                                const lrp_bench_times *times) {
  const view v = look(machine, pass, times);
  const lrp_bench_verdict verdict = judge(&pass->goal, &v);
  if (!isnan(v.peak)) machine->peak[pass->dtype] = v.peak;
  machine->reached += verdict == LRP_BENCH_REACHED;
  machine->missed += verdict == LRP_BENCH_MISSED;
  machine->open += verdict == LRP_BENCH_OPEN;
  if (pass->divisor == 0) {
    machine->dense = pass;
    machine->dense_seconds = times->seconds;
  }
  print_table(pass, times, &v, verdict);
  return print_json(machine, pass, times, &v);
}
