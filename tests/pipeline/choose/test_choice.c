/* choice.json with what was measured, and the verdict: as found. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/base/file.h"
#include "pipeline/choice.h"
#include "pipeline/choose.h"
#include "tests/pipeline/job/job_text.h"

static char output[64], path[96];

static int setup(void **state) {
  (void)state;
  strcpy(output, "/tmp/lrp-choice-XXXXXX");
  if (!mkdtemp(output)) return -1;
  snprintf(path, sizeof path, "%s/choice.json", output);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  unlink(path);
  return rmdir(output);
}

static json_t *parse(const char *text) {
  json_t *value = json_loads(text, 0, NULL);
  assert_non_null(value);
  return value;
}

static const char choice_text[] =
    "{\"target_percent\": 9.0, \"method\": \"sensitivity\", \"choices\": ["
    "{\"kind\": \"chosen\", \"list\": null, \"candidates\": [\"chosen-09.00\"]}], \"rows\": ["
    "{\"configuration\": \"chosen-09.00\", \"kind\": \"candidate\", \"reduction_percent\": 9.25},"
    "{\"configuration\": \"r06\", \"kind\": \"paper\", \"reduction_percent\": 11.5}]}";

static json_t *report(const char *rows, const char *sensitivity) {
  json_t *r = parse(rows), *s = sensitivity ? parse(sensitivity) : json_null(), *out;
  assert_int_equal(lrp_choice_report(output, s, r, &out), LRP_OK);
  json_decref(r);
  json_decref(s);
  return out;
}

#define ROW(name, percent) "{\"configuration\": \"" name "\", \"reduction_percent\": " percent "}"

static void test_none(void **state) {
  (void)state;
  json_t *out = report("[" ROW("r06", "11.5") "]", NULL);
  assert_true(json_is_null(out));
}

static void test_measured(void **state) {
  (void)state;
  assert_int_equal(lrp_file_write(path, choice_text, strlen(choice_text)), LRP_OK);
  json_t *out =
      report("[" ROW("dense", "0.0") ", " ROW("chosen-09.00", "9.25") ", " ROW("r06", "11.5") "]",
             "{\"configurations\": [{\"configuration\": \"chosen-09.00\", "
             "\"held_out_loss\": 0.5, \"held_out_loss_stderr\": null}]}");
  json_t *rows = json_object_get(out, "rows");
  assert_int_equal(json_array_size(rows), 2);
  assert_true(json_number_value(json_object_get(json_array_get(rows, 0), "held_out_loss")) == 0.5);
  assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "held_out_loss_stderr")));
  assert_true(json_is_null(json_object_get(json_array_get(rows, 1), "held_out_loss")));
  json_decref(out);
}

/* What the job does not have any more, or has by another size, was not chosen for it. */
static void test_gone(void **state) {
  (void)state;
  assert_int_equal(lrp_file_write(path, choice_text, strlen(choice_text)), LRP_OK);
  json_t *out = report("[" ROW("chosen-09.00", "9.25") "]", NULL);
  assert_int_equal(json_array_size(json_object_get(out, "rows")), 1);
  json_decref(out);
  assert_true(json_is_null(report("[" ROW("r06", "11.5") "]", NULL)));
  assert_true(json_is_null(report("[" ROW("chosen-09.00", "9.5") "]", NULL)));
}

/* ---- which candidate ---- */

#define CANDIDATE(name, kind) \
  "{\"configuration\": \"" name "\", \"kind\": \"" kind "\", \"reduction_percent\": 12.0}"
#define LOST(name, even, odd) \
  "{\"configuration\": \"" name "\", \"loss\": " even ", \"held_out_loss\": " odd "}"

static const char several[] =
    "{\"target_percent\": 9.0, \"choices\": ["
    "{\"kind\": \"chosen\", \"list\": null, \"candidates\": [\"a\", \"b\", \"r06\"]},"
    "{\"kind\": \"chosen at its size\", \"list\": \"r06\", \"candidates\": [\"b\", \"r06\"]}],"
    "\"rows\": [" CANDIDATE("r06", "paper") ", " CANDIDATE("a", "candidate") ", " CANDIDATE(
        "b", "candidate") "]}";

static const char all_there[] =
    "[" ROW("a", "12.0") ", " ROW("b", "12.0") ", " ROW("r06", "12.0") "]";

/* "configuration: kind" of all rows, in order. */
static void assert_shown(const char *sensitivity, const char *expected) {
  char shown[400] = "";
  size_t i;
  json_t *out = report(all_there, sensitivity), *row;
  json_array_foreach(json_object_get(out, "rows"), i, row) {
    const size_t at = strlen(shown);
    snprintf(shown + at, sizeof shown - at, "%s%s: %s", i > 0 ? ", " : "",
             json_string_value(json_object_get(row, "configuration")),
             json_string_value(json_object_get(row, "kind")));
  }
  assert_string_equal(shown, expected);
  json_decref(out);
}

static void test_decided(void **state) {
  (void)state;
  assert_int_equal(lrp_file_write(path, several, strlen(several)), LRP_OK);
  /* By even documents, whatever the held-out ones say. */
  assert_shown("{\"configurations\": [" LOST("a", "0.1", "9.0") ", " LOST(
                   "b", "0.2", "0.0") ", " LOST("r06", "0.3", "0.0") "]}",
               "a: chosen, b: chosen at its size, r06: paper");
  assert_shown("{\"configurations\": [" LOST("a", "0.3", "0.0") ", " LOST(
                   "b", "-0.2", "9.0") ", " LOST("r06", "0.1", "0.0") "]}",
               "b: chosen, r06: paper, a: candidate");
  assert_shown("{\"configurations\": [" LOST("a", "0.3", "0.0") ", " LOST(
                   "b", "0.2", "0.0") ", " LOST("r06", "0.1", "9.0") "]}",
               "r06: chosen, r06: paper, a: candidate, b: candidate");
  /* Equal losses: the first. A loss that there is not is not the least. */
  assert_shown("{\"configurations\": [" LOST("a", "0.2", "0.0") ", " LOST(
                   "b", "0.2", "0.0") ", " LOST("r06", "0.2", "9.0") "]}",
               "a: chosen, b: chosen at its size, r06: paper");
  assert_shown("{\"configurations\": [" LOST("a", "null", "null") ", " LOST(
                   "b", "0.4", "0.0") ", " LOST("r06", "0.2", "9.0") "]}",
               "r06: chosen, r06: paper, a: candidate, b: candidate");
  assert_shown(NULL, "a: chosen, b: chosen at its size, r06: paper");
}

/* A decision among what is left would be another one. */
static void test_candidate_gone(void **state) {
  (void)state;
  assert_int_equal(lrp_file_write(path, several, strlen(several)), LRP_OK);
  assert_true(json_is_null(report("[" ROW("b", "12.0") ", " ROW("r06", "12.0") "]", NULL)));
  json_t *out = report(all_there, "{\"configurations\": [" LOST("b", "0.5", "0.25") "]}");
  const json_t *row = json_array_get(json_object_get(out, "rows"), 0);
  assert_string_equal(json_string_value(json_object_get(row, "configuration")), "b");
  assert_true(json_number_value(json_object_get(row, "loss")) == 0.5);
  assert_true(json_number_value(json_object_get(row, "held_out_loss")) == 0.25);
  json_decref(out);
}

static void test_damaged(void **state) {
  json_t *rows = json_array(), *out;
  (void)state;
  assert_int_equal(lrp_file_write(path, "{", 1), LRP_OK);
  assert_int_equal(lrp_choice_report(output, NULL, rows, &out), LRP_ERR_DATA);
  assert_contains(lrp_failure_message(LRP_ERR_DATA), "choice.json");
  lrp_failure_clear();
  json_decref(rows);
  unlink(path);
}

/* chosen and paper with these losses and errors: whether the verdict has the words. */
static void check_verdict(const char *chosen, const char *paper, const char *words, bool expected) {
  char text[1000], verdict[LRP_VERDICT_SIZE];
  snprintf(text, sizeof text,
           "{\"rows\": [{\"kind\": \"chosen\", \"configuration\": \"x\", \"held_out_loss\": 0.0, "
           "\"held_out_loss_stderr\": 0.0}, "
           "{\"kind\": \"chosen at its size\", \"configuration\": \"y\", %s}, "
           "{\"kind\": \"paper\", \"configuration\": \"r06\", \"list\": \"r06\", %s}]}",
           chosen, paper);
  json_t *choice = parse(text);
  lrp_choice_verdict(choice, verdict);
  if (expected) {
    assert_contains(verdict, words);
  } else {
    assert_null(strstr(verdict, words));
  }
  json_decref(choice);
}

static void assert_verdict(const char *chosen, const char *paper, const char *words) {
  check_verdict(chosen, paper, words, true);
}

#define LOSS(value, error) \
  "\"reduction_percent\": 11.57, \"held_out_loss\": " value ", \"held_out_loss_stderr\": " error

#define SMALLER(percent) \
  "\"reduction_percent\": " percent ", \"held_out_loss\": 0.1, \"held_out_loss_stderr\": 0.03"

#define PREDICTED(value, error) ", \"predicted_loss\": " value ", \"predicted_loss_stderr\": " error

static void assert_surprise(const char *chosen, bool expected) {
  char text[1000], verdict[LRP_VERDICT_SIZE];
  snprintf(text, sizeof text,
           "{\"rows\": [{\"kind\": \"chosen\", \"configuration\": \"y\", %s}, "
           "{\"kind\": \"paper\", \"configuration\": \"r06\", %s}]}",
           chosen, LOSS("0.2", "0.04"));
  json_t *choice = parse(text);
  assert_int_equal(strstr(lrp_choice_verdict(choice, verdict), "do not just add up") != NULL,
                   expected);
  json_decref(choice);
}

static void test_verdict(void **state) {
  char verdict[LRP_VERDICT_SIZE];
  (void)state;
  assert_verdict(LOSS("0.1", "0.03"), LOSS("0.2", "0.04"), "y (11.57 % smaller) is better than");
  assert_verdict(LOSS("0.3", "0.03"), LOSS("0.2", "0.04"), "is worse than the paper's list r06");
  assert_verdict(LOSS("0.24", "0.03"), LOSS("0.2", "0.04"), "is within one standard error of");
  assert_verdict(LOSS("0.1", "0.03"), LOSS("0.2", "0.04"), "a difference of -0.1000 +- 0.0500.");
  assert_verdict(LOSS("0.3", "0.03") PREDICTED("0.22", "0.04"), LOSS("0.2", "0.04"), "+- 0.0500.");
  assert_verdict(SMALLER("11"), LOSS("0.2", "0.04"), "+- 0.0500. Their sizes differ.");
  assert_verdict(SMALLER("12.1"), LOSS("0.2", "0.04"), "+- 0.0500. Their sizes differ.");
  check_verdict(SMALLER("12"), LOSS("0.2", "0.04"), "sizes differ", false);
  assert_surprise(LOSS("0.3", "0.03") PREDICTED("0.19", "0.04"), true);
  assert_surprise(LOSS("0.3", "0.03") PREDICTED("0.21", "0.04"), false);
  assert_surprise(LOSS("0.3", "0.03") PREDICTED("0.5", "0.04"), false);
  assert_surprise(LOSS("0.3", "0.03") PREDICTED("null", "null"), false);
  assert_verdict(LOSS("0.1", "null"), LOSS("0.2", "0.1"), "too few documents");
  assert_verdict(LOSS("null", "null"), LOSS("0.2", "0.1"), "was not measured");
  json_t *choice = parse("{\"rows\": [{\"kind\": \"chosen\", \"configuration\": \"a\"}]}");
  assert_contains(lrp_choice_verdict(choice, verdict), "no list of the paper");
  json_decref(choice);
  choice = parse(
      "{\"rows\": [{\"kind\": \"chosen\", \"configuration\": \"a\"}, {\"kind\": "
      "\"paper\", \"configuration\": \"a\", \"list\": \"r33\"}]}");
  assert_contains(lrp_choice_verdict(choice, verdict), "is the paper's list r33 itself");
  json_decref(choice);
  choice = parse(
      "{\"choices\": [{\"kind\": \"chosen\", \"candidates\": [\"x\", \"y\", \"a\"]}], \"rows\": ["
      "{\"kind\": \"chosen\", \"configuration\": \"a\", \"loss\": 0.1, \"held_out_loss\": 0.2}, "
      "{\"kind\": \"paper\", \"configuration\": \"a\", \"list\": \"r33\"}]}");
  assert_contains(lrp_choice_verdict(choice, verdict), "The paper's list r33");
  assert_contains(lrp_choice_verdict(choice, verdict), "the best that was found: of 3 candidates");
  assert_contains(lrp_choice_verdict(choice, verdict), "Held out, its loss is 0.2000.");
  json_decref(choice);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_none),           cmocka_unit_test(test_measured),
      cmocka_unit_test(test_gone),           cmocka_unit_test(test_decided),
      cmocka_unit_test(test_candidate_gone), cmocka_unit_test(test_damaged),
      cmocka_unit_test(test_verdict),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
