#include "pipeline/efficiency_readings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/efficiency_file.h"

enum { repeats = 2, new_tokens = 4 };

/* A plan of 2 x 2 tensors: low, dense, high. */
static int low[] = {1, 0, 0, 1}, dense[] = {0, 0, 0, 0}, high[] = {3, 3, 3, 3};
static lrp_configuration configurations[] = {
    {.name = (char[]){"low"}, .rank = low},
    {.name = (char[]){"dense"}, .rank = dense},
    {.name = (char[]){"high"}, .rank = high},
};

static lrp_plan plan_of(int n) {
  return (lrp_plan){
      .layers = 2, .tensors = 2, .configurations = configurations, .n_configurations = n};
}

static lrp_job job_of(int n_lengths, int64_t times, int64_t steps) {
  lrp_job job = {.measure = {.given = true, .new_tokens = steps, .repeats = times}};
  job.measure.batch_size = (lrp_counts){.value = {8}, .n = 1};
  job.measure.sequence_length = (lrp_counts){.value = {16, 32, 64}, .n = n_lengths};
  return job;
}

static lrp_readings create(const lrp_job *job, const lrp_plan *plan) {
  lrp_readings r;
  assert_int_equal(lrp_readings_create(job, plan, true, &r), LRP_OK);
  return r;
}

static void expect_turn(const lrp_readings *r, int configuration, int k, lrp_phase phase) {
  lrp_turn turn;
  assert_true(lrp_readings_next(r, &turn));
  assert_int_equal(turn.configuration, configuration);
  assert_int_equal(turn.number_of_case, k);
  assert_int_equal(turn.phase, phase);
}

/* Take n samples as they come: 1, 2, .. seconds. */
static void take(lrp_readings *r, int n) {
  for (int i = 0; i < n; i++) {
    lrp_turn turn;
    assert_true(lrp_readings_next(r, &turn));
    lrp_readings_add(r, turn, (double)(i + 1), i % 2 ? NAN : 0.5);
  }
}

static void test_cases(void **state) {
  const lrp_plan plan = plan_of(1);
  lrp_job job = job_of(2, repeats, new_tokens);
  (void)state;
  job.measure.batch_size = (lrp_counts){.value = {8, 1}, .n = 2};
  lrp_readings r = create(&job, &plan);
  const lrp_case expected[] = {{8, 16}, {8, 32}, {1, 16}, {1, 32}};
  assert_int_equal(r.n_cases, 4);
  assert_memory_equal(r.cases, expected, sizeof expected);
  assert_int_equal(lrp_readings_total(&r), 1 * 4 * LRP_PHASES * repeats);
  lrp_readings_free(&r);
}

/* Rounds: every configuration once before any is measured again, the dense one first. */
static void test_rounds(void **state) {
  const lrp_plan plan = plan_of(3);
  const lrp_job job = job_of(2, repeats, new_tokens);
  const int order[] = {1, 0, 2};
  lrp_readings r = create(&job, &plan);
  lrp_turn turn;
  (void)state;
  for (int round = 0; round < repeats; round++) {
    for (int i = 0; i < 3; i++) {
      for (int k = 0; k < 2; k++) {
        for (int p = 0; p < LRP_PHASES; p++) {
          expect_turn(&r, order[i], k, (lrp_phase)p);
          take(&r, 1);
        }
      }
    }
  }
  assert_false(lrp_readings_next(&r, &turn));
  assert_int_equal(lrp_readings_done(&r), lrp_readings_total(&r));
  lrp_readings_free(&r);
}

static void test_no_decoding(void **state) {
  const lrp_plan plan = plan_of(2);
  const lrp_job job = job_of(1, 1, 0), generates = job_of(1, 1, new_tokens);
  lrp_readings r = create(&job, &plan);
  lrp_turn turn;
  (void)state;
  take(&r, 2);
  assert_false(lrp_readings_next(&r, &turn));
  lrp_readings_free(&r);
  assert_int_equal(lrp_readings_create(&generates, &plan, false, &r), LRP_OK); /* an encoder */
  assert_int_equal(lrp_readings_total(&r), 2);
  lrp_readings_free(&r);
}

/* What file has, taken over by a job. */
static lrp_readings resume(json_t *file, const lrp_job *job, const lrp_plan *plan) {
  lrp_readings r = create(job, plan);
  assert_int_equal(lrp_readings_take(&r, file), LRP_OK);
  return r;
}

static json_t *file_of(const lrp_job *job, const lrp_plan *plan, int n) {
  json_t *settings = json_pack("{s:s}", "host", "h");
  lrp_readings r = create(job, plan);
  take(&r, n);
  if (n > 0) {
    lrp_reading *first = lrp_reading_of(&r, r.order[0], 0);
    first->resident_weight_bytes = 100;
    first->peak_memory_bytes = 130;
    first->packed = true;
  }
  json_t *file = lrp_readings_to_json(&r, settings);
  assert_non_null(file);
  json_decref(settings);
  lrp_readings_free(&r);
  return file;
}

/* In the middle of a round. */
static void test_resume(void **state) {
  const lrp_plan plan = plan_of(3);
  const lrp_job job = job_of(1, repeats, new_tokens);
  json_t *file = file_of(&job, &plan, 3);
  lrp_readings r = resume(file, &job, &plan);
  (void)state;
  assert_int_equal(lrp_readings_done(&r), 3);
  expect_turn(&r, 0, 0, LRP_DECODE);
  const lrp_reading *first = lrp_reading_of(&r, 1, 0);
  assert_true(first->phase[LRP_PREFILL].n == 1 && first->phase[LRP_DECODE].n == 1);
  assert_true(first->phase[LRP_PREFILL].seconds[0] == 1.0);
  assert_true(first->phase[LRP_PREFILL].joules[0] == 0.5);
  assert_true(isnan(first->phase[LRP_DECODE].joules[0])); /* null in the file */
  assert_true(first->resident_weight_bytes == 100 && first->peak_memory_bytes == 130);
  assert_true(first->packed);
  assert_int_equal(lrp_reading_of(&r, 2, 0)->peak_memory_bytes, -1);
  lrp_readings_free(&r);
  json_decref(file);
}

/* More repeats and cases add; fewer leave what there is in the file. */
static void test_changed_job(void **state) {
  const lrp_plan plan = plan_of(2);
  const lrp_job job = job_of(1, repeats, new_tokens), more = job_of(2, repeats + 1, new_tokens),
                fewer = job_of(1, 1, new_tokens);
  json_t *file = file_of(&job, &plan, 2 * LRP_PHASES * repeats);
  lrp_readings r = resume(file, &more, &plan);
  lrp_turn turn;
  (void)state;
  assert_int_equal(lrp_readings_done(&r), 8);
  assert_int_equal(lrp_readings_total(&r), 2 * 2 * LRP_PHASES * 3);
  expect_turn(&r, 1, 1, LRP_PREFILL); /* the new case catches up first */
  take(&r, 16);
  assert_false(lrp_readings_next(&r, &turn));
  lrp_readings_free(&r);

  r = resume(file, &fewer, &plan);
  assert_false(lrp_readings_next(&r, &turn));
  assert_int_equal(lrp_readings_done(&r), lrp_readings_total(&r));
  json_t *again = lrp_readings_to_json(&r, json_object_get(file, "settings"));
  assert_true(json_equal(file, again)); /* nothing is lost */
  json_decref(again);
  lrp_readings_free(&r);
  json_decref(file);
}

/* What the job does not ask for stays in the file. */
static void test_others_stay(void **state) {
  const lrp_plan both = plan_of(2), one = plan_of(1);
  const lrp_job job = job_of(2, 1, new_tokens), less = job_of(1, 1, new_tokens);
  json_t *file = file_of(&job, &both, 8);
  lrp_readings r = resume(file, &less, &one);
  (void)state;
  assert_int_equal(lrp_readings_done(&r), 2);
  json_t *again = lrp_readings_to_json(&r, json_object_get(file, "settings"));
  assert_int_equal(json_array_size(json_object_get(again, "measurements")), 4);
  lrp_readings_free(&r);
  r = resume(again, &job, &both);
  assert_int_equal(lrp_readings_done(&r), 8);
  lrp_readings_free(&r);
  json_decref(again);
  json_decref(file);
}

/* Another rank under the same name is another configuration. */
static void test_other_ranks(void **state) {
  const lrp_plan plan = plan_of(1);
  const lrp_job job = job_of(1, 1, new_tokens);
  json_t *file = file_of(&job, &plan, 2);
  (void)state;
  low[3] = 2;
  lrp_readings r = resume(file, &job, &plan);
  low[3] = 1;
  assert_int_equal(lrp_readings_done(&r), 0);
  lrp_readings_free(&r);
  json_decref(file);
}

/* Seconds of a step are the mean over all steps: with others they are another quantity. */
static void test_other_new_tokens(void **state) {
  const lrp_plan plan = plan_of(2);
  const lrp_job job = job_of(1, 1, new_tokens), longer = job_of(1, 1, 2 * new_tokens);
  json_t *file = file_of(&job, &plan, 4);
  lrp_readings r = resume(file, &longer, &plan);
  (void)state;
  assert_int_equal(lrp_readings_done(&r), 2);
  expect_turn(&r, 1, 0, LRP_DECODE);
  assert_int_equal(lrp_reading_of(&r, 1, 0)->resident_weight_bytes, 100);
  assert_int_equal(lrp_reading_of(&r, 1, 0)->peak_memory_bytes, -1); /* of more keys and values */
  lrp_readings_free(&r);
  json_decref(file);
}

static void test_damaged_samples(void **state) {
  const lrp_plan plan = plan_of(1);
  const lrp_job job = job_of(1, 3, new_tokens);
  json_t *file = file_of(&job, &plan, 6);
  json_t *entry = json_array_get(json_object_get(file, "measurements"), 0);
  (void)state;
  json_object_set_new(json_object_get(entry, "prefill"), "seconds",
                      json_pack("[s, f, f]", "x", -1.0, 2.0));
  json_object_set_new(entry, "decode", json_string("x"));
  lrp_readings r = resume(file, &job, &plan);
  assert_int_equal(lrp_reading_of(&r, 0, 0)->phase[LRP_PREFILL].n, 1);
  assert_true(lrp_reading_of(&r, 0, 0)->phase[LRP_PREFILL].seconds[0] == 2.0);
  assert_int_equal(lrp_reading_of(&r, 0, 0)->phase[LRP_DECODE].n, 0);
  lrp_readings_free(&r);
  json_decref(file);
}

/* ---- settings -------------------------------------------------------------------------------- */

static json_t *settings(int threads, const char *host, const char *energy) {
  return json_pack("{s:s, s:[{s:s}], s:s, s:s, s:s, s:s, s:s, s:i, s:s?}", "lrpipe", "1", "model",
                   "file", "config.json", "method", "tucker", "factors", "float32", "dtype",
                   "float32", "host", host, "cpu", "c", "threads", threads, "energy", energy);
}

static void expect_difference(json_t *before, json_t *now, lrp_difference kind,
                              const char *expected) {
  char reason[LRP_SETTINGS_REASON];
  assert_int_equal(lrp_settings_difference(before, now, reason), kind);
  assert_string_equal(reason, expected);
  json_decref(before);
  json_decref(now);
}

static void test_settings(void **state) {
  (void)state;
  expect_difference(settings(1, "h", NULL), settings(1, "h", NULL), LRP_SAME_SETTINGS, "");
  expect_difference(settings(1, "h", NULL), settings(2, "h", NULL), LRP_DIFFERENT_MACHINE,
                    "threads: 2, before 1");
  expect_difference(settings(1, "h", NULL), settings(1, "i", NULL), LRP_SAME_SETTINGS,
                    ""); /* a requeued job has another host */
  expect_difference(settings(1, "h", NULL), settings(1, "h", "dram"), LRP_DIFFERENT_MACHINE,
                    "energy: dram, before not available");
  expect_difference(settings(1, "h", "dram"), settings(1, "h", NULL), LRP_SAME_SETTINGS,
                    ""); /* lost: samples stay */
  expect_difference(json_null(), settings(1, "h", NULL), LRP_DIFFERENT_MEASUREMENT,
                    "the model's files are others");
  json_t *other = settings(1, "h", NULL);
  json_object_set_new(other, "model", json_array());
  expect_difference(settings(1, "h", NULL), other, LRP_DIFFERENT_MEASUREMENT,
                    "the model's files are others");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cases),           cmocka_unit_test(test_rounds),
      cmocka_unit_test(test_no_decoding),     cmocka_unit_test(test_resume),
      cmocka_unit_test(test_changed_job),     cmocka_unit_test(test_others_stay),
      cmocka_unit_test(test_other_ranks),     cmocka_unit_test(test_other_new_tokens),
      cmocka_unit_test(test_damaged_samples), cmocka_unit_test(test_settings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
