/* Broken jobs: a valid one cut anywhere, with any bit flipped, and with random edits. Whatever
 * comes, the answer is LRP_OK or LRP_ERR_JOB with a message, and what parses can be written and
 * parsed again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/pipeline/job/job_text.h"

static const char valid[] =
    "model: \"a\\u00e4 b\"\noutput: 'o'\n"
    "decompose: {method: svd, dtype: model, grid_elements: 10}\n"
    "configurations:\n"
    "  - {name: dense}\n"
    "  - {name: r9, layers: [2, \"5:9:2\"], tensors: [q, k], rank: {q: 1, k: 2}}\n"
    "  - name: x\n    layers: 1:2\n    rank: [1, 2]\n"
    "  - {name: e, layers: all, energy: 0.9}\n"
    "sweep:\n"
    "  - {name: s, each: layer, layers: [1, \"2:3\"], ranks: [1, 2], for: {layers: 9}}\n"
    "  - {name: t, layers: [[1], 2], tensors: {a: all, m: [q]}, ratios: 0.5}\n"
    "  - {name: u, samples: 3, seed: 1, reduction: [5, 9.5], distance: 2, ranks: 1}\n"
    "evaluate: {data: d, tasks: [a, b], limit: null, max_length: 3, dtype: auto}\n"
    "measure: {batch_size: [2, 3]}\n";

/* Parse; write and parse what was accepted. */
static void try(const char *text, size_t size) {
  lrp_job job, again;
  char *written, *rewritten;
  lrp_failure_clear();
  const lrp_status st = lrp_job_parse("x.yaml", text, size, NULL, &job);
  if (st != LRP_OK) {
    assert_int_equal(st, LRP_ERR_JOB);
    assert_non_null(lrp_failure_message(st));
    assert_null(job.model);
    return;
  }
  assert_int_equal(lrp_job_write(&job, &written), LRP_OK);
  assert_int_equal(lrp_job_parse("y.yaml", written, strlen(written), NULL, &again), LRP_OK);
  assert_int_equal(lrp_job_write(&again, &rewritten), LRP_OK);
  assert_string_equal(written, rewritten);
  free(written);
  free(rewritten);
  lrp_job_free(&job);
  lrp_job_free(&again);
}

/* A copy in memory of exactly size bytes, so that a sanitizer sees a read beyond it. */
static char *copy_of(const char *text, size_t size) {
  char *copy = malloc(size > 0 ? size : 1);
  assert_non_null(copy);
  memcpy(copy, text, size);
  return copy;
}

static void test_truncated(void **state) {
  (void)state;
  for (size_t size = 0; size < sizeof valid; size++) {
    char *copy = copy_of(valid, size);
    try(copy, size);
    free(copy);
  }
}

static void test_flipped_bits(void **state) {
  const size_t size = strlen(valid);
  char *copy = copy_of(valid, size);
  (void)state;
  for (size_t i = 0; i < size; i++) {
    for (int bit = 0; bit < 8; bit++) {
      copy[i] = (char)(valid[i] ^ (1 << bit));
      try(copy, size);
    }
    copy[i] = valid[i];
  }
  free(copy);
}

static uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

/* Replace bytes by those that mean something to YAML. */
static void test_random_edits(void **state) {
  static const char signs[] = "{}[]:,-?&*!|>'\"%@`# \n0a~<=.";
  const size_t size = strlen(valid);
  uint32_t seed = 1;
  (void)state;
  for (int round = 0; round < 3000; round++) {
    char *copy = copy_of(valid, size);
    for (uint32_t edits = 1 + next_random(&seed) % 4; edits > 0; edits--) {
      const size_t at = next_random(&seed) % size;
      copy[at] = signs[next_random(&seed) % (sizeof signs - 1)];
    }
    try(copy, size);
    free(copy);
  }
}

static void test_valid_is_accepted(void **state) {
  lrp_job job;
  (void)state;
  assert_int_equal(parse_job(valid, &job), LRP_OK);
  lrp_job_free(&job);
}

/* Large, but below the limit: must not take time that grows with the square. */
static void test_large(void **state) {
  enum { size = 1 << 20 };
  static const char *const pieces[] = {"[", "- ", "? ", "a: ", "{a: ", "\"", "# ", "a,", "\n-"};
  char *text = malloc(size);
  (void)state;
  assert_non_null(text);
  for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
    const size_t n = strlen(pieces[p]);
    for (size_t i = 0; i < size; i++) text[i] = pieces[p][i % n];
    try(text, size);
  }
  free(text);
}

/* Half the limit: what is written is a little longer than what was read. */
static void test_many_entries(void **state) {
  enum { size = 1 << 19 };
  char *text = malloc(size);
  size_t at;
  (void)state;
  assert_non_null(text);
  at = (size_t)snprintf(text, size, "model: m\noutput: o\nconfigurations:\n");
  for (int i = 0; at + 40 < size; i++) {
    at += (size_t)snprintf(text + at, size - at, "- name: a%d\n", i);
  }
  try(text, at);
  at = (size_t)snprintf(text, size, "model: m\noutput: o\nconfigurations:\n- {name: a, layers: [");
  while (at + 40 < size) at += (size_t)snprintf(text + at, size - at, "1, ");
  at += (size_t)snprintf(text + at, size - at, "2], rank: 1}\n");
  lrp_job job;
  assert_int_equal(lrp_job_parse("x.yaml", text, at, NULL, &job), LRP_OK);
  lrp_job_free(&job);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid_is_accepted),
      cmocka_unit_test(test_truncated),
      cmocka_unit_test(test_flipped_bits),
      cmocka_unit_test(test_random_edits),
      cmocka_unit_test(test_large),
      cmocka_unit_test(test_many_entries),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
