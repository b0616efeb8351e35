#include <xxhash.h>

#include "io/base/jsonl.h"
#include "tests/io/base/temp_dir.h"

static lrp_jsonl read_text(const char *text) {
  lrp_jsonl j;
  check_ok(lrp_jsonl_read(temp_text("rows.jsonl", text), &j));
  assert_true(j.xxh3 == XXH3_64bits(text, strlen(text)));
  return j;
}

static void assert_refused_bytes(const char *data, size_t size, const char *part) {
  lrp_jsonl j;
  const char *path = temp_write("bad.jsonl", data, size);
  assert_failure(lrp_jsonl_read(path, &j), LRP_ERR_DATA, part);
  assert_null(j.rows);
  lrp_jsonl_free(&j);
}

static void assert_refused(const char *text, const char *part) {
  assert_refused_bytes(text, strlen(text), part);
}

static void test_lines(void **state) {
  /* Blank lines, CRLF, and no last newline. */
  lrp_jsonl j = read_text("\n{\"a\": 1}\r\n\r\n \t\n{\"a\": \"2\"}\n{\"a\": 3}");
  const int64_t lines[] = {2, 5, 6};
  (void)state;

  assert_int_equal(j.count, 3);
  for (int i = 0; i < 3; i++) {
    int64_t value;
    assert_int_equal(j.lines[i], lines[i]);
    check_ok(lrp_jsonl_integer(&j, i, "a", &value));
    assert_int_equal(value, i + 1);
  }
  lrp_jsonl_free(&j);
  assert_null(j.rows);
  lrp_jsonl_free(&j);
}

static void test_many_rows(void **state) {
  enum { rows = 1000 };
  char *text = malloc(rows * 16);
  size_t n = 0;
  lrp_jsonl j;
  (void)state;

  assert_non_null(text);
  for (int i = 0; i < rows; i++) n += (size_t)sprintf(text + n, "{\"i\":%d}\n", i);
  j = read_text(text);
  assert_int_equal(j.count, rows);
  for (int i = 0; i < rows; i++) {
    int64_t value;
    check_ok(lrp_jsonl_integer(&j, i, "i", &value));
    assert_int_equal(value, i);
    assert_int_equal(j.lines[i], i + 1);
  }
  lrp_jsonl_free(&j);
  free(text);
}

static void test_key_order(void **state) {
  lrp_jsonl j = read_text("{\"z\": 1, \"a\": 2, \"m\": 3}");
  const char *expected[] = {"z", "a", "m"};
  const char *key;
  json_t *value;
  int i = 0;
  (void)state;

  json_object_foreach(j.rows[0], key, value) assert_string_equal(key, expected[i++]);
  assert_int_equal(i, 3);
  lrp_jsonl_free(&j);
}

static void test_broken_rows(void **state) {
  (void)state;
  assert_refused("{\"a\": 1}\n{\"a\": ", "bad.jsonl:2: ");
  assert_refused("{\"a\": 1}\n\n{\"a\": 1} x\n", "bad.jsonl:3: ");
  assert_refused("[1, 2]\n", "bad.jsonl:1: expected an object, got an array");
  assert_refused("17\n", "bad.jsonl:1: ");
  assert_refused("{\"a\": 1, \"a\": 2}\n", "bad.jsonl:1: not valid JSON: duplicate");
  assert_refused("{\"a\": \"\xff\"}\n", "bad.jsonl:1: not valid JSON: unable to decode byte 0xff");
  assert_refused("{\"a\": \"\xed\xa0\x80\"}\n", "bad.jsonl:1: "); /* a surrogate */
  assert_refused("{\"a\": \"\\ud800\"}\n", "bad.jsonl:1: ");      /* half a pair */
  assert_refused("{\"a\": \"x\\u0000y\"}\n", "bad.jsonl:1: ");    /* NUL by escape */
  assert_refused("{\"a\": 1e400}\n", "bad.jsonl:1: ");            /* not a double */
  assert_refused("\xef\xbb\xbf{\"a\": 1}\n", "bad.jsonl:1: ");    /* a byte order mark */
  assert_refused("{\"a\": 1}\r{\"a\": 2}\n", "bad.jsonl:1: ");    /* CR ends no line */
  assert_refused_bytes("{\"a\": 1}\n{\"a\": \"\0\"}\n", 20, "bad.jsonl:2: NUL byte");
  assert_refused_bytes("{\"a\": 1}\n\0", 10, "bad.jsonl:2: NUL byte");
}

static void test_no_rows(void **state) {
  (void)state;
  assert_refused("", "bad.jsonl: no rows");
  assert_refused("\n\r\n  \n", "bad.jsonl: no rows");
}

static void test_no_file(void **state) {
  lrp_jsonl j;
  (void)state;
  assert_failure(lrp_jsonl_read(temp_path("none"), &j), LRP_ERR_ABSENT, "none");
  assert_failure(lrp_jsonl_read(temp_dir, &j), LRP_ERR_DATA, "regular");
}

/* {"a": "xxx..."} of size bytes and a newline. */
static char *long_line(size_t size) {
  char *text = malloc(size + 2);
  assert_non_null(text);
  memset(text, 'x', size);
  memcpy(text, "{\"a\": \"", 7);
  memcpy(text + size - 2, "\"}\n", 4);
  return text;
}

static void test_long_lines(void **state) {
  const size_t limit = (size_t)64 << 20;
  const char *value;
  char *text = long_line(5000000);
  lrp_jsonl j = read_text(text);
  (void)state;

  check_ok(lrp_jsonl_text(&j, 0, "a", &value));
  assert_int_equal(strlen(value), 5000000 - 9);
  lrp_jsonl_free(&j);
  free(text);

  text = long_line(limit);
  j = read_text(text);
  assert_int_equal(j.count, 1);
  lrp_jsonl_free(&j);
  free(text);

  text = long_line(limit + 1);
  assert_refused(text, "bad.jsonl:1: line of 67108865 bytes");
  free(text);
}

static void test_fields(void **state) {
  lrp_jsonl j =
      read_text("{\"t\": \"text\", \"l\": [1, 2], \"c\": {\"text\": [\"x\"], \"n\": {\"k\": 7}}}");
  const char *text;
  json_t *array;
  int64_t value;
  (void)state;

  check_ok(lrp_jsonl_text(&j, 0, "t", &text));
  assert_string_equal(text, "text");
  check_ok(lrp_jsonl_array(&j, 0, "l", &array));
  assert_int_equal(json_array_size(array), 2);
  check_ok(lrp_jsonl_array(&j, 0, "c.text", &array));
  assert_string_equal(json_string_value(json_array_get(array, 0)), "x");
  check_ok(lrp_jsonl_integer(&j, 0, "c.n.k", &value));
  assert_int_equal(value, 7);
  lrp_jsonl_free(&j);
}

static void test_wrong_fields(void **state) {
  lrp_jsonl j =
      read_text("\n{\"t\": 1, \"l\": null, \"c\": {\"n\": 1.5}, \"b\": true, \"s\": \"x\"}");
  const char *text;
  json_t *array;
  int64_t value;
  (void)state;

  assert_failure(lrp_jsonl_text(&j, 0, "t", &text), LRP_ERR_DATA,
                 "rows.jsonl:2: field t: expected a string, got an integer");
  assert_failure(lrp_jsonl_text(&j, 0, "u", &text), LRP_ERR_DATA,
                 "rows.jsonl:2: field u: expected a string, got nothing");
  assert_failure(lrp_jsonl_text(&j, 0, "t.x", &text), LRP_ERR_DATA, "got nothing");
  assert_failure(lrp_jsonl_text(&j, 0, "c.", &text), LRP_ERR_DATA, "got nothing");
  assert_failure(lrp_jsonl_array(&j, 0, "l", &array), LRP_ERR_DATA,
                 "rows.jsonl:2: field l: expected an array, got null");
  assert_failure(lrp_jsonl_array(&j, 0, "c", &array), LRP_ERR_DATA, "got an object");
  assert_failure(lrp_jsonl_integer(&j, 0, "c.n", &value), LRP_ERR_DATA,
                 "rows.jsonl:2: field c.n: expected an integer or a string of digits, got a real");
  assert_failure(lrp_jsonl_integer(&j, 0, "b", &value), LRP_ERR_DATA, "got a boolean");
  assert_failure(lrp_jsonl_integer(&j, 0, "s", &value), LRP_ERR_DATA, "got \"x\"");
  assert_failure(lrp_jsonl_fail(&j, 0, "gold %d out of range", 9), LRP_ERR_DATA,
                 "rows.jsonl:2: gold 9 out of range");
  lrp_jsonl_free(&j);
}

static void test_digits(void **state) {
  static const struct {
    const char *text;
    int64_t value; /* -1: refused */
  } cases[] = {{"0", 0},    {"3", 3},   {"017", 17}, {"9223372036854775807", INT64_MAX},
               {"", -1},    {"-1", -1}, {" 1", -1},  {"9223372036854775808", -1},
               {"1.0", -1}, {"1a", -1}, {"0x10", -1}};
  (void)state;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[64];
    int64_t value;
    lrp_jsonl j;
    snprintf(text, sizeof text, "{\"n\": \"%s\"}", cases[i].text);
    j = read_text(text);
    if (cases[i].value >= 0) {
      check_ok(lrp_jsonl_integer(&j, 0, "n", &value));
      assert_int_equal(value, cases[i].value);
    } else {
      assert_failure(lrp_jsonl_integer(&j, 0, "n", &value), LRP_ERR_DATA, "string of digits");
    }
    lrp_jsonl_free(&j);
  }
}

/* Rows of a real data set. */
static void test_shared(void **state) {
  const char *shared = getenv("LRP_SHARED");
  char path[1024];
  lrp_jsonl j;
  json_t *choices;
  (void)state;

  snprintf(path, sizeof path, "%s/data/bench/ai2_arc/ARC-Easy/test.jsonl", shared ? shared : "");
  if (!shared || access(path, R_OK) != 0) {
    print_message("skipped: no data sets under LRP_SHARED\n");
    skip();
  }
  check_ok(lrp_jsonl_read(path, &j));
  assert_int_equal(j.count, 2376); /* the number that the data set's card gives */
  for (int64_t i = 0; i < j.count; i++) {
    check_ok(lrp_jsonl_array(&j, i, "choices.text", &choices));
    assert_in_range(json_array_size(choices), 3, 5);
  }
  lrp_jsonl_free(&j);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines),        cmocka_unit_test(test_many_rows),
      cmocka_unit_test(test_key_order),    cmocka_unit_test(test_broken_rows),
      cmocka_unit_test(test_no_rows),      cmocka_unit_test(test_no_file),
      cmocka_unit_test(test_long_lines),   cmocka_unit_test(test_fields),
      cmocka_unit_test(test_wrong_fields), cmocka_unit_test(test_digits),
      cmocka_unit_test(test_shared),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
