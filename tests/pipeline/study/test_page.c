/* The page of a small report: well formed, escaped, with the sections that its data ask for. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "pipeline/page.h"

#define EVIL "<i>&\\\"x\\\"</i>"

static const char whole[] =
    "{'configurations': ["
    " {'configuration': 'dense', 'parameters': 1000, 'parameters_dense': 1000,"
    "  'reduction_percent': 0.0, 'bytes': 2000, 'flops_per_token': 2000, 'arc_easy/acc': 0.9,"
    "  'arc_easy/acc_stderr': 0.01, 'piqa/acc': 0.8, 'piqa/acc_stderr': 0.02, 'score': 0.85,"
    "  'score_stderr': 0.011, 'choice_loss': 0.4, 'choice_loss_stderr': 0.01, 'pareto': 1},"
    " {'configuration': '" EVIL
    "', 'parameters': 910, 'parameters_dense': 1000,"
    "  'reduction_percent': 9.0, 'bytes': 1820, 'flops_per_token': 1820, 'arc_easy/acc': 0.7,"
    "  'arc_easy/acc_stderr': 0.01, 'piqa/acc': null, 'piqa/acc_stderr': null, 'score': 0.7,"
    "  'score_stderr': null, 'choice_loss': 0.6, 'choice_loss_stderr': 0.01, 'pareto': 1},"
    " {'configuration': 'r50', 'parameters': 500, 'parameters_dense': 1000,"
    "  'reduction_percent': 50.0, 'bytes': 1000, 'flops_per_token': 1000, 'arc_easy/acc': 0.3,"
    "  'arc_easy/acc_stderr': 0.01, 'piqa/acc': 'inf', 'score': null, 'choice_loss': 2.0,"
    "  'pareto': 0}],"
    "'tasks': [{'name': 'arc_easy', 'metric': 'acc', 'documents': 160, 'chance': 0.25, 'full': "
    "1.0},"
    " {'name': 'piqa', 'metric': 'acc', 'documents': 20, 'chance': null, 'full': 1.0}],"
    "'tensors': [{'tensor': 'model.layers.0.q', 'layer': 0, 'short': 'q_proj', 'm': 8, 'n': 8,"
    "  'rank': 2, 'method': 'tucker', 'relative_error': 0.5, 'orthogonality': 1e-7,"
    "  'seconds': 0.001, 'solver': 'gram', 'spectrum': [[1, 3.0], [2, 1.0], [8, 0.0]]},"
    " {'tensor': 'model.layers.1.q', 'layer': 1, 'short': 'q_proj', 'm': 8, 'n': 8,"
    "  'rank': 2, 'method': 'tucker', 'relative_error': null, 'orthogonality': 1e-7,"
    "  'seconds': 0.001, 'solver': 'gram', 'spectrum': []}],"
    "'sensitivity': {'measure': 'choice_loss', 'units': ["
    "  {'layer': 0, 'tensor': 'q_proj', 'rank': 1, 'configuration': 'u0', 'reduction_percent': 3.0,"
    "   'loss': 0.5, 'loss_stderr': 0.01, 'score_drop': 1.0, 'score_drop_stderr': 0.5},"
    "  {'layer': 1, 'tensor': 'q_proj', 'rank': 1, 'configuration': 'u1', 'reduction_percent': 3.0,"
    "   'loss': null, 'loss_stderr': null, 'score_drop': null, 'score_drop_stderr': null}],"
    "  'layers': [{'layer': 0, 'tensors': ['q_proj'], 'ranks': [1], 'configuration': 'l0',"
    "   'reduction_percent': 3.0, 'loss': -0.1, 'loss_stderr': 0.2, 'score_drop': 1.0,"
    "   'score_drop_stderr': null}], 'tensors': []},"
    "'efficiency': {'device': {'host': 'h', 'cpu': 'c', 'threads': 2, 'dtype': 'bfloat16',"
    "   'energy': null, 'energy_reason': 'no counters here'}, 'repeats': 5, 'interval': 'ninety',"
    "  'cases': [{'batch_size': 2, 'sequence_length': 8}], 'rows': ["
    "  {'configuration': 'dense', 'reduction_percent': 0.0, 'batch_size': 2, 'sequence_length': 8,"
    "   'prefill': {'seconds': 0.01, 'seconds_low': 0.009, 'seconds_high': 0.012, 'joules': null,"
    "    'tokens_per_second': 1600.0, 'flops': 1000, 'bytes': 3000}, 'decode': null,"
    "   'resident_weight_bytes': 2000, 'peak_memory_bytes': null},"
    "  {'configuration': 'r50', 'reduction_percent': 50.0, 'batch_size': 2, 'sequence_length': 8,"
    "   'prefill': {'seconds': 0.005, 'seconds_low': 0.004, 'seconds_high': 0.006, 'joules': null,"
    "    'tokens_per_second': 3200.0, 'flops': 500, 'bytes': 1500}, 'decode': null,"
    "   'resident_weight_bytes': 1000, 'peak_memory_bytes': null}],"
    "  'slopes': [{'batch_size': 2, 'sequence_length': 8, 'quantity': 'prefill_seconds',"
    "   'percent_per_percent': 1.0, 'stderr': 0.02, 'n': 1}]},"
    "'choice': {'target_percent': 9.0, 'method': 'sensitivity', 'explanation': 'why " EVIL
    "',"
    "  'measure': 'choice_loss', 'rows': ["
    "  {'configuration': '" EVIL
    "', 'kind': 'chosen', 'list': null, 'reduction_percent': 9.0,"
    "   'predicted_loss': 0.1, 'held_out_loss': 0.2, 'held_out_loss_stderr': 0.02,"
    "   'held_out_score': 0.7, 'held_out_score_stderr': 0.02},"
    "  {'configuration': 'r09', 'kind': 'paper', 'list': 'r09', 'reduction_percent': 9.0,"
    "   'predicted_loss': null, 'held_out_loss': 0.1, 'held_out_loss_stderr': 0.02,"
    "   'held_out_score': 0.75, 'held_out_score_stderr': 0.02}]}}";

static const char origin[] =
    "{'lrpipe': '0.1.0', 'started': '2026-01-02T03:04:05Z', 'host': 'h',"
    "  'command_line': ['lrpipe', '" EVIL
    "'], 'process_ranks': 2, 'nodes': 1, 'threads': 1,"
    "  'libraries': {'mpi': 'M'}, 'slurm_job_id': null, 'job': 'model: <tag>',"
    "  'model': {'directory': 'some/where/" EVIL "', 'files': [{'file': 'f', 'bytes': 1234}]}}";

/* JSON with ' for ". */
static json_t *json_of(const char *text) {
  char *copy = strdup(text);
  json_error_t error;
  assert_non_null(copy);
  for (char *p = copy; *p; p++) *p = *p == '\'' ? '"' : *p;
  json_t *value = json_loads(copy, 0, &error);
  if (!value) fail_msg("%s at %d", error.text, error.position);
  free(copy);
  return value;
}

static json_t *whole_report(void) {
  json_t *all = json_of(whole);
  json_object_set_new(all, "provenance", json_of(origin));
  return all;
}

static char *page_of(const json_t *all) {
  char path[] = "/tmp/lrpipe-page-XXXXXX", *text = NULL;
  size_t size;
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(lrp_page_write(all, path), LRP_OK);
  assert_int_equal(lrp_file_read(path, 1 << 26, &text, &size), LRP_OK);
  unlink(path);
  return text;
}

/* The page without one of its parts. */
static char *page_without(const char *part) {
  json_t *all = whole_report();
  json_object_set_new(all, part, json_null());
  char *text = page_of(all);
  json_decref(all);
  return text;
}

static bool has(const char *text, const char *what) {
  return strstr(text, what) != NULL;
}

/* Every element is closed in order; a & begins an entity; < and > only belong to tags. */
static void assert_well_formed(const char *text) {
  char stack[64][16];
  int depth = 0;
  for (const char *p = text; *p; p++) {
    if (*p == '&') {
      assert_true(!strncmp(p, "&lt;", 4) || !strncmp(p, "&gt;", 4) || !strncmp(p, "&amp;", 5) ||
                  !strncmp(p, "&quot;", 6) || !strncmp(p, "&#39;", 5));
    }
    if (*p != '<') {
      /* the style sheet's child selectors are no markup */
      assert_true(*p != '>' || strcmp(stack[depth - 1], "style") == 0);
      continue;
    }
    const bool closes = p[1] == '/';
    const char *name = p + 1 + closes;
    const size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz123456!DOCTYPE");
    assert_in_range(length, 1, 15);
    for (bool quoted = false; quoted || *p != '>'; p++) {
      assert_true(*p != '\0' && (p < name || *p != '<'));
      if (*p == '"') quoted = !quoted;
    }
    if (*name == '!' || p[-1] == '/') continue;
    if (closes) {
      assert_true(depth > 0 && strlen(stack[depth - 1]) == length);
      assert_memory_equal(stack[--depth], name, length);
    } else {
      assert_true(depth < 64);
      snprintf(stack[depth++], sizeof *stack, "%.*s", (int)length, name);
    }
  }
  assert_int_equal(depth, 0);
}

static void test_whole(void **state) {
  (void)state;
  json_t *all = whole_report();
  char *text = page_of(all), *again = page_of(all);
  static const char *const sections[] = {"accuracy", "choice",  "efficiency",     "sensitivity",
                                         "spectra",  "tensors", "configurations", "provenance"};
  assert_well_formed(text);
  assert_string_equal(text, again);
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
    char id[64], link[64];
    snprintf(id, sizeof id, "<section id=\"%s\"", sections[i]);
    snprintf(link, sizeof link, "<a href=\"#%s\">", sections[i]);
    assert_true(has(text, id) && has(text, link));
  }
  assert_true(has(text, "&lt;i&gt;&amp;&quot;x&quot;&lt;/i&gt;"));
  assert_false(has(text, "<i>"));
  assert_true(has(text, "model: &lt;tag&gt;"));
  static const char *const numbers[] = {">nan", " nan", "\"nan", ">-nan", ">inf", " inf", "(null)"};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    assert_false(has(text, numbers[i]));
  }
  assert_false(has(text, "<script") || has(text, "http"));
  free(text);
  free(again);
  json_decref(all);
}

static void test_says_what_is_missing(void **state) {
  (void)state;
  json_t *all = whole_report();
  char *text = page_of(all);
  assert_true(has(text, "1 configuration has no number for the mean"));
  assert_true(has(text, "not available (no counters here)"));
  assert_false(has(text, "Latency of a decoding step") || has(text, "Peak memory"));
  free(text);
  json_decref(all);
}

/* The verdict is what the numbers say. */
static void test_verdict(void **state) {
  (void)state;
  static const struct {
    double loss, error;
    const char *words;
  } cases[] = {{0.2, 0.02, "is worse than"},
               {0.05, 0.02, "is better than"},
               {0.11, 0.02, "is within one standard error of"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *all = whole_report();
    json_t *row = json_array_get(json_object_get(json_object_get(all, "choice"), "rows"), 0);
    json_object_set_new(row, "held_out_loss", json_real(cases[i].loss));
    json_object_set_new(row, "held_out_loss_stderr", json_real(cases[i].error));
    char *text = page_of(all);
    assert_true(has(text, cases[i].words));
    free(text);
    json_decref(all);
  }
}

static void test_sections_need_data(void **state) {
  (void)state;
  static const char *const parts[][2] = {
      {"tasks", "accuracy"},        {"choice", "choice"},          {"efficiency", "efficiency"},
      {"tensors", "spectra"},       {"tensors", "tensors"},        {"sensitivity", "sensitivity"},
      {"provenance", "provenance"}, {"configurations", "accuracy"}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char *text = page_without(parts[i][0]), id[64], link[64];
    snprintf(id, sizeof id, "id=\"%s\"", parts[i][1]);
    snprintf(link, sizeof link, "\"#%s\"", parts[i][1]);
    assert_well_formed(text);
    assert_false(has(text, id) || has(text, link));
    free(text);
  }
}

static void test_of_nothing(void **state) {
  (void)state;
  static const char *const little[] = {"{}", "{'configurations': []}",
                                       "{'configurations': [{}], 'tasks': [{}], 'tensors': [{}],"
                                       " 'sensitivity': {}, 'efficiency': {}, 'choice': {},"
                                       " 'provenance': {}}",
                                       "{'configurations': 1, 'tasks': 'x', 'tensors': {},"
                                       " 'sensitivity': {'units': [{}], 'layers': [1]},"
                                       " 'efficiency': {'rows': [[]], 'cases': [{}],"
                                       " 'slopes': [{}]}, 'choice': {'rows': [{}]}}"};
  for (size_t i = 0; i < sizeof little / sizeof *little; i++) {
    json_t *all = json_of(little[i]);
    char *text = page_of(all);
    assert_well_formed(text);
    free(text);
    json_decref(all);
  }
}

/* Factors of a high rank are larger than the matrix: that configuration is drawn, too. */
static void test_larger(void **state) {
  (void)state;
  json_t *all = whole_report(), *rows = json_object_get(all, "configurations");
  json_array_append_new(
      rows, json_pack("{s:s, s:i, s:f, s:f, s:f}", "configuration", "fat", "parameters", 1200,
                      "reduction_percent", -20.0, "arc_easy/acc", 0.9, "score", 0.85));
  char *text = page_of(all);
  assert_well_formed(text);
  assert_true(has(text, "<title>fat: 85"));
  assert_true(has(text, "<title>fat: 90"));
  free(text);
  json_decref(all);
}

/* A thousand configurations: points without hints, tables that end, all in some hundred KB. */
static void test_many(void **state) {
  enum { n = 3000 };
  (void)state;
  json_t *all = whole_report(), *rows = json_object_get(all, "configurations");
  for (int i = 0; i < n; i++) {
    json_array_append_new(
        rows, json_pack("{s:s, s:i, s:f, s:f, s:f, s:i}", "configuration", "again and again",
                        "parameters", 1000 - i % 900, "reduction_percent", 0.1 * (i % 900),
                        "arc_easy/acc", 0.25 + i * 7 % 100 / 200.0, "score",
                        0.25 + i * 13 % 100 / 200.0, "pareto", 0));
  }
  char *text = page_of(all);
  assert_well_formed(text);
  assert_true(has(text, "The first 200 of 3,003 configurations"));
  assert_true(strlen(text) < 400000);
  free(text);
  json_decref(all);
}

static void test_renew(void **state) {
  (void)state;
  char dir[] = "/tmp/lrpipe-page-XXXXXX";
  assert_non_null(mkdtemp(dir));
  char *json = lrp_path_join(dir, "tradeoff.json"), *html = lrp_path_join(dir, "report.html");

  assert_int_equal(lrp_page_renew(dir), LRP_ERR_ABSENT);
  assert_true(has(lrp_failure_message(LRP_ERR_ABSENT), "run the job first"));
  lrp_failure_clear();
  assert_int_equal(lrp_file_write(json, "{\"configurations\": ", 19), LRP_OK);
  assert_int_equal(lrp_page_renew(dir), LRP_ERR_DATA);
  lrp_failure_clear();
  assert_false(lrp_file_exists(html));
  assert_int_equal(lrp_file_write(json, "{\"configurations\": []}", 22), LRP_OK);
  assert_int_equal(lrp_page_renew(dir), LRP_OK);
  assert_true(lrp_file_exists(html));
  assert_int_equal(lrp_page_write(NULL, "/nowhere/report.html"), LRP_ERR_CREATE);
  lrp_failure_clear();
  unlink(json);
  unlink(html);
  rmdir(dir);
  free(json);
  free(html);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole),      cmocka_unit_test(test_says_what_is_missing),
      cmocka_unit_test(test_verdict),    cmocka_unit_test(test_sections_need_data),
      cmocka_unit_test(test_of_nothing), cmocka_unit_test(test_many),
      cmocka_unit_test(test_larger),     cmocka_unit_test(test_renew),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
