#include "tests/bench/bench_output.h"

#include <math.h>
#include <string.h>

static const double orthogonality_max = 1e-5;
static const double other_load_max = 0.05; /* from there on it is said */

/* A case with what is said about it. */
typedef struct {
  const lrp_bench_contest *c;
  int which;
  double seconds;
  const lrp_bench_result *result;
} view;

/* Those of the second Python come beside the others. */
static void name_peer(const lrp_bench_contender *p, char *name, size_t size) {
  snprintf(name, size, "%s%s", p->torch > 0 ? "current " : "", lrp_bench_peer_name(p->peer));
}

lrp_bench_verdict lrp_bench_judge(const lrp_bench_goal *goal, double ratio,
                                  const lrp_bench_quality *quality, double seconds, double theirs) {
  if (goal->excess <= 0.0) return LRP_BENCH_NO_GOAL;
  if (!(quality->excess <= goal->excess) || !(quality->orthogonality <= orthogonality_max)) {
    return LRP_BENCH_MISSED;
  }
  if (goal->against == LRP_BENCH_NOBODY) return LRP_BENCH_REACHED;
  if (isnan(theirs)) return LRP_BENCH_OPEN;
  return seconds <= ratio * theirs ? LRP_BENCH_REACHED : LRP_BENCH_MISSED;
}

void lrp_bench_count(lrp_bench_score *score, lrp_bench_verdict verdict) {
  score->reached += verdict == LRP_BENCH_REACHED;
  score->missed += verdict == LRP_BENCH_MISSED;
  score->open += verdict == LRP_BENCH_OPEN;
}

static lrp_bench_verdict judge(const view *v, double ratio) {
  const lrp_bench_goal *goal = &v->c->cases[v->which]->goal;
  const lrp_bench_contender *peer = lrp_bench_find(v->c, goal->against, 0, v->which);
  return lrp_bench_judge(goal, ratio, &v->result->quality, v->seconds,
                         peer ? lrp_bench_seconds(peer) : NAN);
}

static json_t *describe_peer(const view *v, const lrp_bench_contender *p) {
  const double seconds = lrp_bench_seconds(p);
  json_t *peer = json_object();
  json_object_set_new(peer, "seconds", lrp_bench_real(seconds));
  if (p->peer != LRP_BENCH_LLM_TIME) {
    const lrp_bench_quality *q = &p->quality[v->which];
    json_object_set_new(peer, "excess", lrp_bench_real(q->excess));
    json_object_set_new(peer, "orthogonality", lrp_bench_real(q->orthogonality));
  }
  json_object_set_new(peer, "ratio", lrp_bench_real(v->seconds / seconds));
  json_object_set_new(peer, "repeats", json_integer(p->calls - 1));
  if (p->peer == LRP_BENCH_SVD || p->peer == LRP_BENCH_LOWRANK) {
    json_object_set_new(peer, "version",
                        json_string(v->c->terms->torches[p->torch].python.version));
  }
  if (p->peer == LRP_BENCH_LOWRANK) {
    json_object_set_new(peer, "q", json_integer(v->c->cases[v->which]->q));
    json_object_set_new(peer, "niter", json_integer(LRP_BENCH_NITER));
  }
  return peer;
}

static bool is_peer_of(const lrp_bench_contender *p, int which) {
  return p->peer != LRP_BENCH_NOBODY && (p->which < 0 || p->which == which) && !p->failed;
}

static json_t *describe_peers(const view *v) {
  json_t *peers = json_object();
  for (int i = 0; i < v->c->n_contenders; i++) {
    const lrp_bench_contender *p = &v->c->contenders[i];
    char name[64];
    if (!is_peer_of(p, v->which)) continue;
    name_peer(p, name, sizeof name);
    json_object_set_new(peers, name, describe_peer(v, p));
  }
  return peers;
}

static lrp_status print_json(const view *v, const char *name, int threads) {
  const lrp_bench_case *c = v->c->cases[v->which];
  char goal[128];
  json_t *line = json_pack("{s:s, s:i, s:i, s:i, s:s, s:s}", "case", name, "m", c->rows, "n",
                           c->cols, "rank", c->rank, "spectrum",
                           lrp_bench_spectrum_name(c->spectrum), "dtype", lrp_dtype_name(LRP_BF16));

  lrp_bench_add_machine(line, threads);
  lrp_bench_goal_text(&c->goal, goal, sizeof goal);
  json_object_set_new(line, "method", json_string(lrp_solver_name(v->result->solver)));
  json_object_set_new(line, "seconds", lrp_bench_real(v->seconds));
  json_object_set_new(line, "certificate_seconds", lrp_bench_real(v->result->certificate_s));
  json_object_set_new(
      line, "optimal_error",
      lrp_bench_real(lrp_bench_optimum(&v->c->m, c->rank) / lrp_bench_optimum(&v->c->m, 0)));
  json_object_set_new(line, "excess", lrp_bench_real(v->result->quality.excess));
  json_object_set_new(line, "orthogonality", lrp_bench_real(v->result->quality.orthogonality));
  json_object_set_new(line, "other_load", lrp_bench_real(v->c->other_load));
  json_object_set_new(line, "peers", describe_peers(v));
  json_object_set_new(line, "goal", goal[0] ? json_string(goal) : json_null());
  json_object_set_new(line, "reached", lrp_bench_json_verdict(judge(v, c->goal.ratio)));
  if (c->goal.stretch > 0.0) {
    json_object_set_new(line, "stretch", json_real(c->goal.stretch));
    json_object_set_new(line, "stretch_reached", lrp_bench_json_verdict(judge(v, c->goal.stretch)));
  }
  return lrp_bench_print_line(line);
}

void lrp_bench_print_head(void) {
  fprintf(stderr, "%-24s %-34s %10s %11s %10s %7s\n", "case", "method", "seconds", "excess",
          "orthogon.", "ratio");
}

void lrp_bench_print_row(const char *name, const char *method, double seconds,
                         const lrp_bench_quality *q, double ratio) {
  fprintf(stderr, "%-24s %-34s %10.4g", name, method, seconds);
  if (q) {
    fprintf(stderr, " %11.1e %10.1e", q->excess, q->orthogonality);
  } else {
    fprintf(stderr, " %11s %10s", "", "");
  }
  if (ratio > 0.0) fprintf(stderr, " %7.3f", ratio);
  fputc('\n', stderr);
}

void lrp_bench_print_goal(const lrp_bench_goal *goal, lrp_bench_verdict verdict) {
  static const char *const texts[] = {"", "reached", "missed", "not judged: no such peer here"};
  char text[128];
  lrp_bench_goal_text(goal, text, sizeof text);
  if (text[0]) fprintf(stderr, "%25sgoal %s: %s\n", "", text, texts[verdict]);
}

static void print_table(const view *v, const char *name) {
  const lrp_bench_case *c = v->c->cases[v->which];
  char text[128];

  snprintf(text, sizeof text, "lrpipe (%s)", lrp_solver_name(v->result->solver));
  lrp_bench_print_row(name, text, v->seconds, &v->result->quality, 0.0);
  lrp_bench_print_row("", "  certificate", v->result->certificate_s, NULL, 0.0);
  for (int i = 0; i < v->c->n_contenders; i++) {
    const lrp_bench_contender *p = &v->c->contenders[i];
    if (!is_peer_of(p, v->which)) continue;
    const double seconds = lrp_bench_seconds(p);
    name_peer(p, text, sizeof text);
    lrp_bench_print_row("", text, seconds,
                        p->peer == LRP_BENCH_LLM_TIME ? NULL : &p->quality[v->which],
                        v->seconds / seconds);
  }
  lrp_bench_print_goal(&c->goal, judge(v, c->goal.ratio));
}

lrp_status lrp_bench_print(const lrp_bench_contest *c, int threads, lrp_bench_score *score) {
  lrp_status st = LRP_OK;
  for (int i = 0; st == LRP_OK && i < c->n_cases; i++) {
    const lrp_bench_contender *ours = lrp_bench_find(c, LRP_BENCH_NOBODY, 0, i);
    const view v = {
        .c = c, .which = i, .seconds = lrp_bench_seconds(ours), .result = &c->results[i]};
    char name[64];
    lrp_bench_count(score, judge(&v, c->cases[i]->goal.ratio));
    lrp_bench_case_name(c->cases[i], name, sizeof name);
    st = print_json(&v, name, threads);
    print_table(&v, name);
  }
  if (c->other_load > other_load_max) {
    fprintf(stderr, "warning: others used %.0f %% of the cores: times are too long\n",
            100.0 * c->other_load);
  }
  return st;
}
