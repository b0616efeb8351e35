/* What measured losses, or errors, offer; what is chosen of them, against brute force. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/offers.h"
#include "tests/pipeline/job/job_text.h"

enum { layers = 3, tensors = 7 };
static lrp_config small; /* q and o 8 x 8, k and v 4 x 8, gate and up 24 x 8, down 8 x 24 */

static int setup(void **state) {
  char dir[64];
  (void)state;
  create_model(SMALL_LLAMA, dir);
  assert_int_equal(lrp_config_read(dir, &small), LRP_OK);
  remove_model(dir);
  return 0;
}

static void offers_of(const char *text, lrp_offers *out) {
  json_t *sensitivity = json_loads(text, 0, NULL);
  assert_non_null(sensitivity);
  assert_int_equal(lrp_offers_of_losses(sensitivity, &small, LRP_TUCKER, out), LRP_OK);
  json_decref(sensitivity);
}

#define UNIT(layer, tensor, loss, error)                                    \
  "{\"configuration\": \"u\", \"layer\": " #layer ", \"tensor\": \"" tensor \
  "\", \"rank\": 1, \"loss\": " #loss ", \"loss_stderr\": " #error "}"

static void test_savings(void **state) {
  const int rank[layers * tensors] = {1, [7 + 4] = 2, [14 + 1] = 3};
  (void)state;
  assert_int_equal(lrp_saving_of_layer(&small, LRP_TUCKER, rank), 64 - 17);
  assert_int_equal(lrp_saving_of(&small, LRP_TUCKER, rank), 64 - 17 + 192 - 68 + 32 - (3 * 12 + 9));
  assert_int_equal(lrp_saving_of(&small, LRP_SVD, rank), 64 - 16 + 192 - 64 + 32 - 36);
}

/* The error counts in the choice, not in the prediction; a gain is no loss; a lucky measurement
 * with a large error is not taken. */
static void test_lucky_measurement(void **state) {
  lrp_offers offers;
  int rank[layers * tensors];
  int64_t most;
  bool found;
  double loss, error;
  (void)state;
  offers_of("{\"units\": [" UNIT(0, "q_proj", -0.5, 0.2) ", " UNIT(
                1, "q_proj", 0.1, 0.05) ", " UNIT(2, "q_proj", 0.3, 0.0) "]}",
            &offers);
  assert_int_equal(lrp_offers_choose(&offers, 47, rank, &most, &found), LRP_OK);
  assert_true(found && most == 3 * 47);
  assert_true(rank[0] == 0 && rank[7] == 1 && rank[14] == 0);
  assert_true(lrp_offers_predict(&offers, rank, &loss, &error));
  assert_true(loss == 0.1 && fabs(error - 0.05) < 1e-15);
  assert_int_equal(lrp_offers_choose(&offers, 48, rank, &most, &found), LRP_OK);
  assert_true(rank[0] == 1 && rank[7] == 1 && rank[14] == 0);
  assert_true(lrp_offers_predict(&offers, rank, &loss, &error));
  assert_true(loss == 0.1 && fabs(error - hypot(0.2, 0.05)) < 1e-15);
  rank[3] = 1;
  assert_false(lrp_offers_predict(&offers, rank, &loss, &error));
  assert_int_equal(lrp_offers_choose(&offers, 142, rank, &most, &found), LRP_OK);
  assert_true(!found && most == 141);
  lrp_offers_free(&offers);
}

/* Tensors that were measured together cost what they cost together, be it less or more. */
static void test_measured_together(void **state) {
  lrp_offers offers;
  int rank[layers * tensors];
  int64_t most;
  bool found;
  double loss, error;
  (void)state;
  offers_of("{\"units\": [" UNIT(0, "q_proj", 0.25, 0) ", " UNIT(0, "o_proj", 0.25, 0) ", " UNIT(
                1, "q_proj", 0.125, 0) ", " UNIT(1, "o_proj", 0.125, 0) "], \"layers\": ["
            "{\"configuration\": \"a\", \"layer\": 0, \"tensors\": [\"q_proj\", \"o_proj\"], "
            "\"ranks\": [1, 1], \"loss\": 0.1, \"loss_stderr\": null},"
            "{\"configuration\": \"b\", \"layer\": 1, \"tensors\": [\"q_proj\", \"o_proj\"], "
            "\"ranks\": [1, 1], \"loss\": 9.0, \"loss_stderr\": 0.0}]}",
            &offers);
  assert_int_equal(lrp_offers_choose(&offers, 2 * 47, rank, &most, &found), LRP_OK);
  assert_true(rank[0] == 1 && rank[3] == 1 && rank[7] == 0 && rank[10] == 0);
  assert_true(lrp_offers_predict(&offers, rank, &loss, &error) && loss == 0.1);
  assert_int_equal(lrp_offers_choose(&offers, 3 * 47, rank, &most, &found), LRP_OK);
  assert_true(rank[0] == 1 && rank[3] == 1 && rank[7] + rank[10] == 1);
  assert_int_equal(lrp_offers_choose(&offers, 4 * 47, rank, &most, &found), LRP_OK);
  assert_true(found && lrp_offers_predict(&offers, rank, &loss, &error) && loss == 9.1);
  lrp_offers_free(&offers);
}

/* What choose named itself, and what has no loss, is no offer. */
static void test_left_out(void **state) {
  lrp_offers offers;
  (void)state;
  offers_of(
      "{\"units\": [{\"configuration\": \"chosen-01.00\", \"layer\": 0, \"tensor\": "
      "\"q_proj\", \"rank\": 1, \"loss\": 0.1}, {\"configuration\": \"paper-r06\", \"layer\": "
      "0, \"tensor\": \"q_proj\", \"rank\": 1, \"loss\": 0.1}, {\"configuration\": "
      "\"candidate-01.00-s2o0\", \"layer\": 0, \"tensor\": \"q_proj\", \"rank\": 1, \"loss\": "
      "0.1}, "
      "{\"configuration\": \"x\", "
      "\"layer\": 0, \"tensor\": \"q_proj\", \"rank\": 1, \"loss\": null}]}",
      &offers);
  assert_int_equal(offers.n, 0);
  lrp_offers_free(&offers);
}

static void test_of_another_model(void **state) {
  static const char *const texts[] = {
      "{\"units\": [" UNIT(3, "q_proj", 0, 0) "]}", "{\"units\": [" UNIT(0, "query", 0, 0) "]}",
      "{\"units\": [{\"configuration\": \"u\", \"layer\": 0, \"tensor\": \"q_proj\", \"rank\": 9, "
      "\"loss\": 0}]}",
      "{\"layers\": [{\"configuration\": \"u\", \"layer\": 0, \"tensors\": [], \"ranks\": [], "
      "\"loss\": 0}]}"};
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    json_t *sensitivity = json_loads(texts[i], 0, NULL);
    lrp_offers offers;
    assert_non_null(sensitivity);
    assert_int_equal(lrp_offers_of_losses(sensitivity, &small, LRP_TUCKER, &offers), LRP_ERR_DATA);
    lrp_failure_clear();
    lrp_offers_free(&offers);
    json_decref(sensitivity);
  }
}

static void test_every(void **state) {
  lrp_offers offers, some;
  (void)state;
  offers_of("{\"units\": [" UNIT(0, "q_proj", 0.1, 0) ", " UNIT(1, "q_proj", 0.2, 0) ", " UNIT(
                2, "q_proj", 0.3, 0) ", " UNIT(2, "o_proj", 0.4, 0) "]}",
            &offers);
  assert_int_equal(lrp_offers_every(&offers, 2, 0, &some), LRP_OK);
  assert_int_equal(some.n, 3);
  assert_true(some.measured[1].layer == 2 && some.measured[1].loss == 0.3);
  assert_int_equal(some.measured[1].saving, 47);
  lrp_offers_free(&some);
  assert_int_equal(lrp_offers_every(&offers, 2, 1, &some), LRP_OK);
  assert_true(some.n == 1 && some.measured[0].layer == 1);
  lrp_offers_free(&some);
  assert_int_equal(lrp_offers_every(&offers, 4, 3, &some), LRP_OK);
  assert_int_equal(some.n, 0);
  lrp_offers_free(&some);
  assert_int_equal(lrp_offers_every(&offers, 1, 0, &some), LRP_OK);
  assert_int_equal(some.n, 4);
  lrp_offers_free(&some);
  lrp_offers_free(&offers);
}

/* ---- brute force over all sets of single tensors at two ranks ---- */

static uint64_t seed = 3;

static double draw(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (double)(seed >> 40) / 64.0;
}

enum {
  used = 4,
  choices = 3 * 3 * 3 * 3 * 3 * 3
}; /* tensors of layers 0 (2, 4, 5) and 1 (0, 4, 6) */
static const int unit_layer[6] = {0, 0, 0, 1, 1, 1}, unit_tensor[6] = {2, 4, 5, 0, 4, 6};

static void test_against_brute_force(void **state) {
  (void)state;
  for (int trial = 0; trial < 30; trial++) {
    lrp_offer measured[12] = {0};
    lrp_offers offers = {.measured = measured, .n = 12, .config = &small, .method = LRP_TUCKER};
    for (int i = 0; i < 12; i++) {
      measured[i].layer = unit_layer[i / 2];
      measured[i].rank[unit_tensor[i / 2]] = 1 + i % 2;
      measured[i].loss = draw();
      measured[i].margin = draw();
      measured[i].saving = lrp_saving_of_layer(&small, LRP_TUCKER, measured[i].rank);
    }
    const int64_t target = 50 + trial * 20;
    double least = INFINITY, cost = 0.0;
    for (int c = 0; c < choices; c++) {
      int64_t saving = 0;
      double sum = 0.0;
      for (int u = 0, rest = c; u < 6; u++, rest /= 3) {
        if (rest % 3 == 0) continue;
        const lrp_offer *o = &measured[2 * u + rest % 3 - 1];
        saving += o->saving;
        sum += o->loss + o->margin;
      }
      if (saving >= target && sum < least) least = sum;
    }
    int rank[layers * tensors];
    int64_t most;
    bool found;
    assert_int_equal(lrp_offers_choose(&offers, target, rank, &most, &found), LRP_OK);
    assert_int_equal(found, isfinite(least) != 0);
    if (!found) continue;
    for (int i = 0; i < 12; i++) {
      const int *r = &rank[measured[i].layer * tensors + unit_tensor[i / 2]];
      if (*r == 1 + i % 2) cost += measured[i].loss + measured[i].margin;
    }
    assert_true(lrp_saving_of(&small, LRP_TUCKER, rank) >= target);
    assert_true(cost == least);
  }
}

/* ---- errors ---- */

/* W with singular values 4, 2, 1 and |W|^2 = 22: one more, 1, is not listed. */
static void test_errors(void **state) {
  static const char text[] =
      "[{\"tensor\": \"t\", \"layer\": 1, \"short\": \"gate_proj\", \"rank\": 3, "
      "\"relative_error\": 0.21320071635561041, \"spectrum\": [[1, 4.0], [2, 2.0], [3, 1.0]]}]";
  const char *job_text = LIST
      "{name: a, layers: 1, tensors: gate_proj, rank: 1}\n"
      "  - {name: b, layers: 1, tensors: gate_proj, rank: 3}\n"
      "  - {name: c, layers: [0, 1], tensors: gate_proj, rank: 3}\n"
      "  - {name: chosen-02.00, layers: 1, tensors: gate_proj, rank: 2}\n";
  json_t *units = json_loads(text, 0, NULL);
  lrp_offers offers;
  lrp_plan plan;
  lrp_job job;
  (void)state;
  assert_int_equal(parse_job(job_text, &job), LRP_OK);
  assert_int_equal(lrp_plan_create(&job, &small, &plan), LRP_OK);
  assert_int_equal(lrp_offers_of_errors(units, &plan, &small, LRP_TUCKER, &offers), LRP_OK);
  assert_int_equal(offers.n, 2);
  assert_int_equal(offers.measured[0].rank[4], 1);
  assert_true(fabs(offers.measured[0].loss - 6.0 / 22.0) < 1e-12);
  assert_int_equal(offers.measured[1].rank[4], 3);
  assert_true(fabs(offers.measured[1].loss - 1.0 / 22.0) < 1e-12);
  lrp_offers_free(&offers);
  lrp_plan_free(&plan);
  lrp_job_free(&job);
  json_decref(units);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_savings),
      cmocka_unit_test(test_lucky_measurement),
      cmocka_unit_test(test_measured_together),
      cmocka_unit_test(test_every),
      cmocka_unit_test(test_left_out),
      cmocka_unit_test(test_of_another_model),
      cmocka_unit_test(test_against_brute_force),
      cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
