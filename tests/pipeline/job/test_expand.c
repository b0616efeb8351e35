/* Sweeps: what they make of a model of 3 layers (and of one of 32), and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/log.h"
#include "pipeline/expand_axis.h"
#include "pipeline/plan.h"
#include "tests/pipeline/job/job_text.h"

static lrp_config llama, small; /* 32 x 7; 3 x 7, hidden 8, key-value heads 4, mlp 24 */

static void read_model(const char *json, lrp_config *config) {
  char dir[64];
  create_model(json, dir);
  if (lrp_config_read(dir, config) != LRP_OK) fail_msg("%s", lrp_failure_message(LRP_ERR_DATA));
  remove_model(dir);
}

static int setup(void **state) {
  (void)state;
  lrp_log_init(0, false);
  read_model(LLAMA2_7B, &llama);
  read_model(SMALL_LLAMA, &small);
  return 0;
}

/* Plan of a job with these sweeps (the first starts at x.yaml:4) and these configurations. */
static lrp_status plan_with(const char *sweeps, const char *configurations,
                            const lrp_config *config, lrp_plan *plan) {
  static char text[20000];
  lrp_job job;
  snprintf(text, sizeof text, "model: m\noutput: o\nsweep:\n%s\nconfigurations: %s\n", sweeps,
           configurations);
  lrp_status st = parse_job(text, &job);
  if (st != LRP_OK) return st;
  st = lrp_plan_create(&job, config, plan);
  lrp_job_free(&job);
  return st;
}

static void plan_for(const char *sweeps, const lrp_config *config, lrp_plan *plan) {
  if (plan_with(sweeps, "[]", config, plan) != LRP_OK) {
    fail_msg("%s", lrp_failure_message(LRP_ERR_JOB));
  }
}

/* "a 0q1 2k3; b ..": name, and layer, first letter of the tensor and rank of what is decomposed. */
static void assert_made(const char *sweeps, const lrp_config *config, const char *expected) {
  static char text[8000];
  lrp_plan plan;
  size_t at = 0;
  plan_for(sweeps, config, &plan);
  text[0] = '\0';
  for (int c = 0; c < plan.n_configurations; c++) {
    at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", c > 0 ? "; " : "",
                           plan.configurations[c].name);
    for (int i = 0; i < plan.layers * plan.tensors; i++) {
      const int rank = plan.configurations[c].rank[i];
      if (rank == 0) continue;
      at += (size_t)snprintf(text + at, sizeof text - at, " %d%c%d", i / plan.tensors,
                             lrp_config_tensor_name(config, i % plan.tensors)[0], rank);
    }
  }
  assert_string_equal(text, expected);
  lrp_plan_free(&plan);
}

static void test_each(void **state) {
  (void)state;
  assert_made("  - {name: a, each: layer, tensors: q_proj, ranks: 2}", &small,
              "a-l00 0q2; a-l01 1q2; a-l02 2q2");
  assert_made("  - {name: a, each: layer, layers: [2, 0], tensors: [k_proj, q_proj], ranks: 1}",
              &small, "a-l02 2q1 2k1; a-l00 0q1 0k1");
  assert_made("  - {name: a, each: tensor, layers: 1, ranks: [3]}", &small,
              "a-q_proj-r0003 1q3; a-k_proj-r0003 1k3; a-v_proj-r0003 1v3; a-o_proj-r0003 1o3; "
              "a-gate_proj-r0003 1g3; a-up_proj-r0003 1u3; a-down_proj-r0003 1d3");
  assert_made("  - {name: a, each: unit, layers: \"0:2:2\", tensors: attention, ranks: 1}", &small,
              "a-l00-q_proj 0q1; a-l00-k_proj 0k1; a-l00-v_proj 0v1; a-l00-o_proj 0o1; "
              "a-l02-q_proj 2q1; a-l02-k_proj 2k1; a-l02-v_proj 2v1; a-l02-o_proj 2o1");
  assert_made("  - {name: a, each: nothing, layers: 1, tensors: mlp, ranks: 1}", &small,
              "a 1g1 1u1 1d1");
}

static void test_cross_product(void **state) {
  (void)state;
  assert_made("  - {name: a, layers: [[0, 1], [2]], tensors: [[q_proj], [k_proj]], ranks: [1, 2]}",
              &small,
              "a-01-01-r0001 0q1 1q1; a-01-01-r0002 0q2 1q2; a-01-02-r0001 0k1 1k1; "
              "a-01-02-r0002 0k2 1k2; a-02-01-r0001 2q1; a-02-01-r0002 2q2; a-02-02-r0001 2k1; "
              "a-02-02-r0002 2k2");
  assert_made(
      "  - {name: a, layers: {end: 2, begin: [0, 1]}, tensors: {z: [q_proj], y: v_proj}, "
      "ranks: 1}",
      &small, "a-end-z 2q1; a-end-y 2v1; a-begin-z 0q1 1q1; a-begin-y 0v1 1v1");
  assert_made("  - {name: a, layers: [[0], 2], tensors: [q_proj, k_proj], ranks: 1}", &small,
              "a-01 0q1 0k1; a-02 2q1 2k1");
  assert_made("  - {name: a, first: 1, strides: 1, counts: [1, 2], tensors: q_proj, ranks: 1}",
              &small, "a-n01 1q1; a-n02 1q1 2q1");
  assert_made("  - {name: a, strides: [2, 1], counts: [2], tensors: q_proj, ranks: 1}", &small,
              "a-n02-s02 0q1 2q1; a-n02-s01 0q1 1q1");
  /* 8 x 8: 16 r + r^2 <= 64 q */
  assert_made("  - {name: a, layers: 0, tensors: q_proj, ratios: [1, 0.5625, 0.5]}", &small,
              "a-q1 0q3; a-q0.5625 0q2; a-q0.5 0q1");
}

/* What is there already, listed or made, is left out and named in the log. */
static void test_duplicates(void **state) {
  char text[4000];
  lrp_plan plan;
  (void)state;
  capture c = capture_begin(stderr);
  const lrp_status st = plan_with(
      "  - {name: a, layers: [[0], [1], [0]], tensors: q_proj, ranks: 1}\n"
      "  - {name: b, each: layer, tensors: q_proj, ranks: [1, 2]}\n"
      "  - {name: e, layers: 0, tensors: q_proj, energies: [0.5, 0.9]}",
      "[{name: x, layers: 1, tensors: q_proj, rank: 1}, {name: dense}, "
      "{name: y, layers: 1, tensors: q_proj, rank: 1}]",
      &small, &plan);
  capture_end(&c, text, sizeof text);
  assert_int_equal(st, LRP_OK);
  static const char *const names[] = {"x",           "dense",       "y",           "a-01",
                                      "b-l00-r0002", "b-l01-r0002", "b-l02-r0001", "b-l02-r0002",
                                      "e-e0.5",      "e-e0.9"};
  assert_int_equal(plan.n_configurations, 10);
  for (int i = 0; i < 10; i++) assert_string_equal(plan.configurations[i].name, names[i]);
  assert_contains(text, "configuration 'a-02' has the ranks of 'x' and is left out");
  assert_contains(text, "configuration 'a-03' has the ranks of 'a-01' and is left out");
  assert_contains(text, "configuration 'b-l00-r0001' has the ranks of 'a-01' and is left out");
  assert_contains(text, "configuration 'b-l01-r0001' has the ranks of 'x' and is left out");
  assert_null(strstr(text, "'y'"));
  lrp_plan_free(&plan);
}

/* l -> round(l (L-1) / (R-1)), halves upwards; r -> max(1, round(r hidden / H)). */
static void test_scaled(void **state) {
  char text[4000];
  (void)state;
  assert_int_equal(lrp_scaled(1, 2, 4), 1); /* a half */
  assert_int_equal(lrp_scaled(1, 2, 5), 0);
  assert_int_equal(lrp_scaled(31, 2, 31), 2);
  assert_int_equal(lrp_scaled((int64_t)1 << 31, 65535, 65535), (int64_t)1 << 31);
  capture c = capture_begin(stderr);
  assert_made(
      "  - {name: a, for: {layers: 5}, each: layer, layers: [4, 1, 2], tensors: q_proj, "
      "ranks: 2}\n"
      "  - {name: b, for: {layers: 5, hidden_size: 16}, layers: {x: [0, 1], y: [1, 4]}, "
      "tensors: q_proj, ranks: [1, 3, 9]}",
      &small,
      "a-l02 2q2; a-l01 1q2; b-x-r0001 0q1 1q1; b-x-r0003 0q2 1q2; b-x-r0009 0q5 1q5; "
      "b-y-r0001 1q1 2q1; b-y-r0003 1q2 2q2; b-y-r0009 1q5 2q5");
  capture_end(&c, text, sizeof text);
  assert_contains(text, "sweep 'a': layers 4, 1, 2 of 5 are 2, 1 of 3, once each");
  assert_contains(text, "sweep 'b': y: layers 1, 4 of 5 are 1, 2 of 3\n");
}

/* A sweep that is written for this very model, and one over all layers, change nothing. */
static void test_not_scaled(void **state) {
  char text[4000];
  (void)state;
  capture c = capture_begin(stderr);
  assert_made(
      "  - {name: a, for: {layers: 3, hidden_size: 8}, layers: [0, 2], tensors: q_proj, "
      "ranks: 3}\n"
      "  - {name: b, for: {layers: 32}, layers: all, tensors: q_proj, ranks: 3}",
      &small, "a 0q3 2q3; b 0q3 1q3 2q3");
  capture_end(&c, text, sizeof text);
  assert_null(strstr(text, "sweep"));
}

static void test_capped_with_one_warning(void **state) {
  char text[4000];
  (void)state;
  capture c = capture_begin(stderr);
  assert_made("  - {name: a, each: layer, tensors: q_proj, ranks: [8, 9]}", &small,
              "a-l00-r0008 0q8; a-l01-r0008 1q8; a-l02-r0008 2q8");
  capture_end(&c, text, sizeof text);
  assert_contains(text,
                  "x.yaml:4: sweep 'a': rank is larger than min(m, n) of some tensors of 3 "
                  "configurations and capped there");
  assert_null(strstr(strstr(text, "warning") + 1, "warning"));
}

/* ---- samples ---- */

static const char random_sweep[] =
    "  - {name: s, samples: %d, seed: %d, ranks: [1, 8], reduction: [5, 20], distance: 2, "
    "keep_first: 2, keep_last: 1}";

static void plan_samples(int n, int seed, lrp_plan *plan) {
  char text[400];
  snprintf(text, sizeof text, random_sweep, n, seed);
  plan_for(text, &llama, plan);
}

static void assert_passes(const lrp_configuration *c) {
  const lrp_size size = lrp_plan_size(&llama, LRP_TUCKER, c->rank, 2, 2);
  int before = -2;
  assert_true(size.reduction_percent >= 5.0 && size.reduction_percent <= 20.0);
  for (int l = 0; l < 32; l++) {
    bool chosen = false;
    for (int t = 0; t < 7; t++) {
      const int rank = c->rank[l * 7 + t];
      assert_true(rank == 0 || rank == 1 || rank == 8);
      if (rank > 0) chosen = true;
    }
    if (!chosen) continue;
    assert_true(l >= 2 && l <= 30 && l - before >= 2);
    before = l;
  }
}

static void test_samples(void **state) {
  enum { n = 300 };
  const size_t bytes = 32 * 7 * sizeof(int);
  lrp_plan plan, longer, other;
  int same = 0;
  (void)state;
  plan_samples(n, 1, &plan);
  plan_samples(n + 200, 1, &longer);
  plan_samples(n, 2, &other);
  assert_int_equal(plan.n_configurations, n);
  assert_int_equal(longer.n_configurations, n + 200);
  assert_string_equal(plan.configurations[0].name, "s-00001");
  assert_string_equal(plan.configurations[n - 1].name, "s-00300");
  for (int c = 0; c < n; c++) {
    assert_passes(&plan.configurations[c]);
    assert_memory_equal(plan.configurations[c].rank, longer.configurations[c].rank, bytes);
    same += memcmp(plan.configurations[c].rank, other.configurations[c].rank, bytes) == 0;
  }
  assert_true(same < n / 10);
  lrp_plan_free(&other);
  lrp_plan_free(&longer);
  lrp_plan_free(&plan);
}

/* Thousands; with a set of tensors that is given. */
static void test_many_samples(void **state) {
  lrp_plan plan;
  (void)state;
  plan_for("  - {name: s, samples: 5000, ranks: 1, tensors: [mlp, q_proj]}", &llama, &plan);
  assert_int_equal(plan.n_configurations, 5000);
  assert_int_equal(plan.n_units, 32 * 4);
  lrp_plan_free(&plan);
}

/* More than there are: 3 layers, one tensor, 2^3 - 1. */
static void test_all_samples(void **state) {
  char text[2000];
  lrp_plan plan;
  (void)state;
  capture c = capture_begin(stderr);
  plan_for("  - {name: s, samples: 100, ranks: 1, tensors: q_proj}", &small, &plan);
  capture_end(&c, text, sizeof text);
  assert_int_equal(plan.n_configurations, 7);
  assert_contains(text, "sweep 's': there are only 7 configurations to sample");
  lrp_plan_free(&plan);
}

/* ---- refusals ---- */

static void assert_refused(const char *sweeps, const char *message) {
  lrp_plan plan = {0};
  assert_message(plan_with(sweeps, "[{name: x}]", &small, &plan), message);
  assert_null(plan.configurations);
}

static void test_refused_by_the_model(void **state) {
  (void)state;
  assert_refused("  - {name: a, layers: [0, 3], ranks: 1}",
                 "x.yaml:4: sweep 'a': layers: 3 is not a layer of this model (0..2)");
  assert_refused("  - {name: a, for: {layers: 5}, layers: [0, 5], ranks: 1}",
                 "x.yaml:4: sweep 'a': layers: 5 is not a layer of the model that it is written "
                 "for (0..4)");
  assert_refused("  - {name: a, layers: [[0, 0:1]], ranks: 1}",
                 "x.yaml:4: sweep 'a': layers: 0 is listed twice");
  assert_refused("  - {name: a, counts: 2, strides: 2, first: 1, ranks: 1}",
                 "x.yaml:4: sweep 'a': layers: 3 is not a layer");
  assert_refused(
      "  - {name: a, tensors: [[q_proj], [q_porj]], ranks: 1}",
      "x.yaml:4: configuration 'a': tensors: 'q_porj' is not a tensor of this model (did "
      "you mean 'q_proj'?)");
  assert_refused("  - {name: a, tensors: atention, ranks: 1}",
                 "x.yaml:4: configuration 'a': tensors: 'atention' is not a tensor of this model "
                 "(did you mean 'attention'?)");
  assert_refused("  - {name: s, samples: 3, tensors: zebra, ranks: 1}",
                 "x.yaml:4: configuration 's': tensors: 'zebra' is not a tensor");
  assert_refused("  - {name: s, samples: 3, keep_first: 3, ranks: 1}",
                 "x.yaml:4: sweep 's': no configuration of this model passes its filters");
  assert_refused("  - {name: a, layers: 0, tensors: q_proj, ratios: [0.5, 0.26]}",
                 "x.yaml:4: configuration 'a-q0.26': ratio: too small for q_proj");
}

static void test_refused_names(void **state) {
  char text[500], long_name[LRP_MAX_NAME + 1];
  (void)state;
  memset(long_name, 'n', LRP_MAX_NAME);
  long_name[LRP_MAX_NAME] = '\0';
  assert_refused("  - {name: x, ranks: 1}", "x.yaml:4: the name 'x' is used twice");
  assert_refused("  - {name: a, ranks: 1}\n  - {name: a, ranks: 2}",
                 "x.yaml:5: the name 'a' is used twice");
  assert_refused("  - {name: a, ranks: [1, 1]}", "x.yaml:4: the name 'a-r0001' is used twice");
  snprintf(text, sizeof text, "  - {name: %s, ranks: [1]}", long_name);
  assert_refused(text, "x.yaml:4: sweep 'nnnnnnn");
  long_name[LRP_MAX_NAME - 6] = '\0'; /* with -r0001: just not too long */
  snprintf(text, sizeof text, "  - {name: %s, ranks: [1]}", long_name);
  lrp_plan plan;
  plan_for(text, &small, &plan);
  assert_int_equal(strlen(plan.configurations[0].name), LRP_MAX_NAME);
  lrp_plan_free(&plan);
}

/* ---- as written ---- */

static const char every_key[] =
    "model: m\noutput: o\nsweep:\n"
    "  - {name: a, each: unit, layers: [0, \"2:8:3\"], tensors: [q_proj], ranks: 3, for: {layers: "
    "32, hidden_size: 64}}\n"
    "  - {name: b, layers: [[1], all], tensors: {x: all, \"y.z\": [k_proj]}, ratios: [0.5, 1]}\n"
    "  - {name: c, first: 2, strides: [1, 2], counts: 3, energies: 0.9, for: {layers: 8}}\n"
    "  - {name: d, samples: 10, seed: 9223372036854775807, reduction: [0.5, 40], distance: 2,\n"
    "     keep_first: 2, keep_last: 1, tensors: attention, ranks: [1, 250], for: {hidden_size: 9}}"
    "\n";

static void test_round_trip(void **state) {
  lrp_job job;
  char *first, *second;
  (void)state;
  assert_int_equal(parse_job(every_key, &job), LRP_OK);
  assert_int_equal(job.n_sweeps, 4);
  assert_int_equal(job.n_configurations, 0);
  assert_string_equal(job.sweeps[2].origin, "x.yaml:6");
  assert_int_equal(lrp_job_write(&job, &first), LRP_OK);
  lrp_job_free(&job);
  assert_contains(first, "configurations: []\n");
  assert_contains(first,
                  "    each: unit\n    layers: [0, \"2:8:3\"]\n    tensors: [\"q_proj\"]\n"
                  "    ranks: 3\n    for: {layers: 32, hidden_size: 64}\n");
  assert_contains(first,
                  "    layers: [[1], all]\n    tensors: {\"x\": all, \"y.z\": "
                  "[\"k_proj\"]}\n    ratios: [0.5, 1]\n");
  assert_contains(first, "    first: 2\n    strides: [1, 2]\n    counts: 3\n    energies: 0.9\n");
  assert_contains(first,
                  "    ranks: [1, 250]\n    samples: 10\n    seed: 9223372036854775807\n"
                  "    reduction: [0.5, 40]\n    distance: 2\n    keep_first: 2\n"
                  "    keep_last: 1\n    for: {hidden_size: 9}\n");
  assert_int_equal(parse_job(first, &job), LRP_OK);
  assert_int_equal(lrp_job_write(&job, &second), LRP_OK);
  assert_string_equal(first, second);
  lrp_job_free(&job);
  free(first);
  free(second);
}

#define SWEEP "model: m\noutput: o\nsweep:\n  - "

static void test_refused_by_the_parser(void **state) {
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"model: m\noutput: o\nsweep: {name: a}\n", "x.yaml:3:8: sweep: expected a list of maps"},
      {"model: m\noutput: o\nsweep: []\n", "x.yaml: missing key 'configurations'"},
      {"model: m\noutput: o\nsweep:\n", "x.yaml:3:7: sweep: expected a list of maps, got null"},
      {SWEEP "a\n", "x.yaml:4:5: sweep: expected a map like"},
      {SWEEP "{ranks: 1}\n", "x.yaml:4:5: a sweep without name"},
      {SWEEP "{name: a}\n", "x.yaml:4:5: sweep 'a': no rank; add ranks, ratios or energies"},
      {SWEEP "{name: a, rank: 1}\n",
       "x.yaml:4:15: unknown key 'rank' of a sweep (did you mean 'ranks'?)"},
      {SWEEP "{name: a, ranks: 1, seeds: 1}\n",
       "x.yaml:4:25: unknown key 'seeds' of a sweep (did you mean 'seed'?)"},
      {SWEEP "{name: a, ranks: 1, ranks: 2}\n", "x.yaml:4:25: duplicate key 'ranks'"},
      {SWEEP "{name: a, ranks: 1, ratios: 0.5}\n", "x.yaml:4:33: only one of ranks, ratios and"},
      {SWEEP "{name: a/b, ranks: 1}\n", "x.yaml:4:12: name: 'a/b' is not a name"},
      {SWEEP "{name: a.csv, ranks: 1}\n", "x.yaml:4:12: name: 'a.csv' could be a file"},
      {SWEEP "{name: a, ranks: 0}\n", "x.yaml:4:22: ranks: expected an integer >= 1, got '0'"},
      {SWEEP "{name: a, ranks: []}\n", "x.yaml:4:22: ranks: an empty list"},
      {SWEEP "{name: a, ranks: [1, 1.5]}\n", "x.yaml:4:26: ranks: expected an integer >= 1"},
      {SWEEP "{name: a, ratios: 1.5}\n", "x.yaml:4:23: ratios: expected a number in (0, 1]"},
      {SWEEP "{name: a, ratios: 0}\n", "x.yaml:4:23: ratios: expected a number in (0, 1]"},
      {SWEEP "{name: a, ranks: 1, each: row}\n",
       "x.yaml:4:31: sweep[].each: expected nothing, layer, tensor or unit, got 'row'"},
      {SWEEP "{name: a, ranks: 1, layers: {}}\n", "x.yaml:4:33: layers: an empty map"},
      {SWEEP "{name: a, ranks: 1, layers: []}\n", "x.yaml:4:33: layers: an empty list"},
      {SWEEP "{name: a, ranks: 1, layers: [[]]}\n", "x.yaml:4:34: layers: an empty list"},
      {SWEEP "{name: a, ranks: 1, layers: {a b: 1}}\n", "x.yaml:4:34: layers: 'a b' is not a name"},
      {SWEEP "{name: a, ranks: 1, layers: {b: 1, b: 2}}\n", "x.yaml:4:40: duplicate key 'b'"},
      {SWEEP "{name: a, ranks: 1, layers: {b.h5: 1}}\n", "x.yaml:4:34: layers: 'b.h5' could be"},
      {SWEEP "{name: a, ranks: 1, layers: {b: {c: 1}}}\n", "x.yaml:4:37: layers: expected all"},
      {SWEEP "{name: a, ranks: 1, tensors: []}\n", "x.yaml:4:34: tensors: an empty list"},
      {SWEEP "{name: a, ranks: 1, reduction: 5}\n",
       "x.yaml:4:36: reduction: expected [least, most] in percent, got '5'"},
      {SWEEP "{name: a, ranks: 1, reduction: [5]}\n", "x.yaml:4:36: reduction: expected [least"},
      {SWEEP "{name: a, ranks: 1, reduction: [5, 101]}\n",
       "x.yaml:4:40: reduction: expected a number from 0 to 100, got '101'"},
      {SWEEP "{name: a, ranks: 1, reduction: [6, 5]}\n", "x.yaml:4:36: reduction: the least is"},
      {SWEEP "{name: a, ranks: 1, samples: 100000}\n",
       "x.yaml:4:34: sweep[].samples: expected an integer >= 1 and <= 99999, got '100000'"},
      {SWEEP "{name: a, ranks: 1, for: 3}\n", "x.yaml:4:30: for: expected {layers, hidden_size}"},
      {SWEEP "{name: a, ranks: 1, for: {}}\n", "x.yaml:4:30: for: expected {layers, hidden_size}"},
      {SWEEP "{name: a, ranks: 1, for: {layers: 1}}\n",
       "x.yaml:4:39: for.layers: expected an integer >= 2 and <= 65536, got '1'"},
      {SWEEP "{name: a, ranks: 1, for: {layer: 9}}\n", "x.yaml:4:31: for: unknown key 'layer'"},
      {SWEEP "{name: a, ranks: 1, samples: 2, layers: 1}\n",
       "x.yaml:4:5: sweep 'a': samples and layers exclude each other"},
      {SWEEP "{name: a, ratios: 1, samples: 2}\n",
       "x.yaml:4:5: sweep 'a': samples needs ranks; add it"},
      {SWEEP "{name: a, ranks: 1, samples: 2, tensors: [[q], [k]]}\n",
       "x.yaml:4:5: sweep 'a': samples and tensors both say what to go over"},
      {SWEEP "{name: a, ranks: 1, seed: 2}\n", "x.yaml:4:5: sweep 'a': seed needs samples; add it"},
      {SWEEP "{name: a, ranks: 1, strides: 2}\n", "x.yaml:4:5: sweep 'a': strides needs counts"},
      {SWEEP "{name: a, ranks: 1, first: 2}\n", "x.yaml:4:5: sweep 'a': first needs strides"},
      {SWEEP "{name: a, ranks: 1, strides: 2, counts: 2, layers: 1}\n",
       "x.yaml:4:5: sweep 'a': strides and layers exclude each other"},
      {SWEEP "{name: a, ranks: 1, strides: 2, counts: 2, each: layer}\n",
       "x.yaml:4:5: sweep 'a': each and strides both say what to go over"},
      {SWEEP "{name: a, ranks: 1, each: layer, layers: [[1], [2]]}\n",
       "x.yaml:4:5: sweep 'a': each and layers both say what to go over"},
      {SWEEP "{name: a, ranks: 1, each: unit, tensors: {b: q}}\n",
       "x.yaml:4:5: sweep 'a': each and tensors both say what to go over"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_job_error(cases[i].text, cases[i].message);
  }
}

/* --set replaces the sweeps; a job may have them alone. */
static void test_set(void **state) {
  char *set[] = {"sweep=[{name: z, ranks: 4}]", "configurations=[]"};
  const lrp_overrides overrides = {.set = set, .n_set = 2};
  const char *text = HEAD "sweep: [{name: a, each: layer, ranks: 1}]\n";
  lrp_job job;
  (void)state;
  assert_int_equal(lrp_job_parse("x.yaml", text, strlen(text), &overrides, &job), LRP_OK);
  assert_int_equal(job.n_configurations, 0);
  assert_int_equal(job.n_sweeps, 1);
  assert_string_equal(job.sweeps[0].name, "z");
  assert_string_equal(job.sweeps[0].origin, "--set sweep");
  lrp_job_free(&job);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each),
      cmocka_unit_test(test_cross_product),
      cmocka_unit_test(test_duplicates),
      cmocka_unit_test(test_scaled),
      cmocka_unit_test(test_not_scaled),
      cmocka_unit_test(test_capped_with_one_warning),
      cmocka_unit_test(test_samples),
      cmocka_unit_test(test_many_samples),
      cmocka_unit_test(test_all_samples),
      cmocka_unit_test(test_refused_by_the_model),
      cmocka_unit_test(test_refused_names),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_refused_by_the_parser),
      cmocka_unit_test(test_set),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
