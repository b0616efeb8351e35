#include "io/model/safetensors.h"
#include "tests/io/model/fixture.h"

static void assert_refused_path(const char *path, const char *part) {
  lrp_safetensors st;
  assert_failure(lrp_safetensors_open(path, &st), LRP_ERR_DATA, part);
  assert_null(st.map);
  lrp_safetensors_close(&st);
}

static void assert_refused(const char *header, size_t data_size, const char *part) {
  assert_refused_path(write_header("x.safetensors", header, data_size), part);
}

static void assert_accepted(const char *header, size_t data_size, int64_t tensors) {
  lrp_safetensors st;
  check_ok(lrp_safetensors_open(write_header("x.safetensors", header, data_size), &st));
  assert_int_equal(st.count, tensors);
  lrp_safetensors_close(&st);
}

static void test_read(void **state) {
  static const char header[] =
      "{\"__metadata__\":{\"format\":\"pt\",\"braces\":\"{[{[{[{[{[ \\\"{[{[{[{[{[\"},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]},"
      "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
      "\"s\":{\"shape\":[],\"data_offsets\":[28,36],\"dtype\":\"I64\",\"other\":null}}    ";
  const lrp_safetensor *t;
  lrp_safetensors st;
  (void)state;

  check_ok(lrp_safetensors_open(write_header("x.safetensors", header, 36), &st));
  assert_int_equal(st.count, 3);
  assert_string_equal(st.tensors[0].name, "a");
  assert_string_equal(st.tensors[2].name, "s");
  t = lrp_safetensors_find(&st, "b");
  assert_non_null(t);
  assert_string_equal(t->dtype, "F32");
  assert_int_equal(t->ndim, 2);
  assert_int_equal(t->shape[0], 2);
  assert_int_equal(t->shape[1], 3);
  assert_int_equal(t->bytes, 24);
  assert_int_equal(((const unsigned char *)t->data)[0], 4);
  assert_int_equal(lrp_safetensors_find(&st, "s")->ndim, 0);
  assert_int_equal(lrp_safetensors_find(&st, "s")->bytes, 8);
  assert_null(lrp_safetensors_find(&st, "c"));
  assert_null(lrp_safetensors_find(&st, "__metadata__"));
  lrp_safetensors_close(&st);
  assert_null(st.tensors);
  lrp_safetensors_close(&st);
  assert_null(lrp_safetensors_find(&st, "a"));
}

static void test_no_tensors(void **state) {
  (void)state;
  assert_accepted("{}", 0, 0);
  assert_accepted("{\"__metadata__\":{}}", 0, 0);
  assert_refused("{}", 1, "1 bytes after the last tensor");
}

static void test_files(void **state) {
  lrp_safetensors st;
  (void)state;

  assert_failure(lrp_safetensors_open(temp_path("none"), &st), LRP_ERR_ABSENT, "none");
  assert_refused_path(temp_dir, "not a regular file");
  assert_refused_path("/dev/zero", "not a regular file");
  assert_int_equal(mkfifo(temp_path("fifo"), 0600), 0);
  assert_refused_path(temp_path("fifo"), "not a regular file");
  for (size_t size = 0; size < 8; size++) {
    assert_refused_path(temp_write("short", "\2\0\0\0\0\0\0\0", size), "too few");
  }
  assert_refused_path(temp_write("short", "\2\0\0\0\0\0\0\0", 8), "header of 2 bytes");
  assert_refused_path(temp_text("lfs",
                                "version https://git-lfs.github.com/spec/v1\n"
                                "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\nsize 5\n"),
                      "is a Git LFS pointer, not the weights; run git lfs pull");
  assert_refused_path(temp_text("lfs", "version https://git-lfs.github.com/spec"), "Git LFS");
}

static void test_header_length(void **state) {
  static const char header[] = "{}";
  const size_t size = 8 + 2;
  (void)state;

  assert_refused_path(write_raw("n", 0, header, 2, 0), "header length 0 ");
  assert_refused_path(write_raw("n", 3, header, 2, 0), "header of 3 bytes in a file of 10");
  assert_refused_path(write_raw("n", size + 1, header, 2, 0), "header of 11 bytes");
  assert_refused_path(write_raw("n", (uint64_t)1 << 63, header, 2, 0), "9223372036854775808");
  assert_refused_path(write_raw("n", UINT64_MAX, header, 2, 0), "18446744073709551615");
  assert_refused_path(write_raw("n", UINT64_MAX - 7, header, 2, 0), "is not in 1 .. 100000000");
  assert_refused_path(write_raw("n", 100000001, header, 2, 0), "is not in 1 .. 100000000");
  assert_refused_path(write_raw("n", 100000000, header, 2, 0), "header of 100000000 bytes");
}

static void test_json(void **state) {
  (void)state;
  assert_refused("[]", 0, "does not start with '{'");
  assert_refused(" {}", 0, "does not start with '{'");
  assert_refused("\xef\xbb\xbf{}", 0, "does not start with '{'");
  assert_refused("{", 0, "not valid JSON");
  assert_refused("{}x", 0, "not valid JSON");
  assert_refused("{}{}", 0, "not valid JSON");
  assert_refused_path(write_raw("x.safetensors", 3, "{}\0", 3, 0), "not valid JSON");
  assert_accepted("{} \n\t  ", 0, 0);
  assert_refused("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
                 "not valid JSON");
  assert_refused("{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
                 "not valid JSON");
  assert_refused(
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
      2, "duplicate object key near '\"a\"'");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                 "duplicate");
}

static void test_metadata(void **state) {
  (void)state;
  assert_refused("{\"__metadata__\":[]}", 0, "__metadata__ is not an object");
  assert_refused("{\"__metadata__\":\"x\"}", 0, "__metadata__ is not an object");
  assert_refused("{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: k is not a string");
}

static void test_members(void **state) {
  (void)state;
  assert_refused("{\"a\":1}", 0, "tensor a: not an object");
  assert_refused("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "tensor a: no dtype");
  assert_refused("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "no dtype");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "shape is not an array");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1,
                 "shape is not an array");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "data_offsets is not");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":1}}", 1, "data_offsets");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1,
                 "data_offsets is not");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1,
                 "data_offsets is not");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\"0\",1]}}", 1,
                 "data_offsets is not");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1.0]}}", 1,
                 "data_offsets is not");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1,
                 "data_offsets is not");
  assert_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}}", 1,
                 "data_offsets is not");
}

static void test_dtypes(void **state) {
  static const struct {
    const char *name;
    size_t bytes;
  } known[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
               {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
               {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};
  char header[256];
  (void)state;

  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    for (size_t off = 0; off < 2; off++) {
      const size_t bytes = 3 * known[i].bytes + off;
      snprintf(header, sizeof header,
               "{\"a\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%zu]}}", known[i].name,
               bytes);
      if (off == 0) assert_accepted(header, bytes, 1);
      if (off == 1) assert_refused(header, bytes, "data_offsets span");
    }
  }
  assert_refused("{\"a\":{\"dtype\":\"F12\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
                 "tensor a: unknown dtype F12");
  assert_refused("{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
                 "unknown dtype f32");
}

/* A tensor of U8 with these dimensions and bytes. */
static const char *header_of(const char *shape, const char *begin_end) {
  static char header[512];
  snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[%s]}}",
           shape, begin_end);
  return header;
}

static void test_shapes(void **state) {
  (void)state;
  assert_accepted(header_of("2,1,1,1,1,1,1,2", "0,4"), 4, 1);
  assert_refused(header_of("1,1,1,1,1,1,1,2,2", "0,4"), 4, "9 dimensions, more than 8");
  assert_refused(header_of("-4", "0,4"), 4, "shape is not of integers");
  assert_refused(header_of("-2,-2", "0,4"), 4, "shape is not of integers");
  assert_refused(header_of("4.0", "0,4"), 4, "shape is not of integers");
  assert_refused(header_of("\"4\"", "0,4"), 4, "shape is not of integers");
  assert_refused(header_of("null", "0,4"), 4, "shape is not of integers");
  assert_refused(header_of("[4]", "0,4"), 4, "shape is not of integers");
  assert_refused(header_of("1e400", "0,4"), 4, "not valid JSON");
  assert_refused(header_of("18446744073709551620", "0,4"), 4, "not valid JSON");
  /* The product is 4 modulo 2^64. */
  assert_refused(header_of("4194305,4194305,211106198978564", "0,4"), 4, "shape overflows");
  assert_refused(header_of("4294967296,4294967296", "0,0"), 0, "shape overflows");
  assert_refused(
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],"
      "\"data_offsets\":[0,0]}}",
      0, "shape overflows");
  assert_refused(header_of("5", "0,4"), 4, "data_offsets span 4 bytes, U8 of its shape has 5");
  assert_accepted(header_of("0", "0,0"), 0, 1);
}

/* Two tensors of U8 vectors at these places in data_size bytes. */
static const char *pair(int b0, int e0, int b1, int e1) {
  static char header[512];
  snprintf(header, sizeof header,
           "{\"a\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}",
           e0 - b0, b0, e0, e1 - b1, b1, e1);
  return header;
}

static void test_places(void **state) {
  (void)state;
  assert_accepted(pair(0, 4, 4, 8), 8, 2);
  assert_accepted(pair(4, 8, 0, 4), 8, 2); /* any order in the header */
  assert_refused(pair(0, 4, 3, 8), 8, "tensors a and b overlap");
  assert_refused(pair(0, 8, 0, 8), 8, "tensors a and b overlap");
  assert_refused(pair(0, 8, 2, 4), 8, "tensors a and b overlap");
  assert_refused(pair(0, 4, 5, 8), 8, "1 bytes between a and b");
  assert_refused(pair(1, 4, 4, 8), 8, "1 bytes between the start and a");
  assert_refused(pair(0, 4, 4, 7), 8, "1 bytes after the last tensor");
  assert_refused(pair(0, 4, 4, 9), 8, "data end at 9, but the file holds 8 bytes");
  assert_refused(pair(0, 4, 8, 12), 8, "data end at 12");
  assert_refused(header_of("4", "9223372036854775803,9223372036854775807"), 8, "data end at");
  /* Empty tensors: at either end and between two others, but not inside of one. */
  assert_accepted(pair(0, 0, 0, 8), 8, 2);
  assert_accepted(pair(0, 8, 0, 0), 8, 2);
  assert_accepted(pair(0, 8, 8, 8), 8, 2);
  assert_accepted(pair(0, 0, 0, 0), 0, 2);
  assert_refused(pair(0, 8, 4, 4), 8, "tensors a and b overlap");
  assert_refused(pair(4, 4, 0, 0), 8, "4 bytes between b and a");
  assert_refused(pair(0, 8, 9, 9), 8, "data end at 9");
}

static void test_truncated(void **state) {
  const char *header = pair(0, 4, 4, 8);
  const char *path = write_header("cut", header, 8);
  const off_t size = (off_t)(8 + strlen(header) + 8);
  (void)state;

  assert_int_equal(truncate(path, size - 1), 0);
  assert_refused_path(path, "the file holds 7 bytes of data (download interrupted?)");
  for (off_t cut = size - 2; cut >= 0; cut--) {
    lrp_safetensors st;
    assert_int_equal(truncate(path, cut), 0);
    assert_int_equal(lrp_safetensors_open(path, &st), LRP_ERR_DATA);
  }
  assert_int_equal(truncate(path, 4096), 0); /* all zero, as a download may leave it */
  assert_refused_path(path, "header length 0 ");
  lrp_failure_clear();
}

static void test_names(void **state) {
  char header[2048], name[1100];
  (void)state;

  for (int length = 1024; length <= 1025; length++) {
    memset(name, 'n', sizeof name);
    name[length] = '\0';
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
    if (length == 1024) assert_accepted(header, 1, 1);
    if (length == 1025) assert_refused(header, 1, "name of 1025 bytes");
  }
  assert_accepted("{\"gew\xc3\xb6hnlich\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                  1, 1);
}

static void assert_nested(size_t depth, const char *part) {
  char *text = malloc(2 * depth + 16);
  size_t n = 5;
  assert_non_null(text);
  memcpy(text, "{\"a\":", 5);
  for (size_t i = 0; i < depth; i++) text[n++] = '[';
  for (size_t i = 0; i < depth; i++) text[n++] = ']';
  text[n++] = '}';
  text[n] = '\0';
  assert_refused(text, 0, part);
  free(text);
}

static void test_nesting(void **state) {
  (void)state;
  assert_nested(7, "tensor a: not an object");
  assert_nested(8, "nested deeper than 8");
  assert_nested(1000000, "nested deeper than 8");
}

/* count empty tensors. */
static char *many_tensors(int count) {
  char *text = malloc((size_t)count * 64 + 16);
  size_t n = 0;
  assert_non_null(text);
  for (int i = 0; i < count; i++) {
    n += (size_t)sprintf(text + n,
                         "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                         i ? ',' : '{', i);
  }
  sprintf(text + n, "}");
  return text;
}

static void test_counts(void **state) {
  char *text = many_tensors(100000);
  lrp_safetensors st;
  (void)state;

  check_ok(lrp_safetensors_open(write_header("many", text, 0), &st));
  assert_int_equal(st.count, 100000);
  assert_non_null(lrp_safetensors_find(&st, "t99999"));
  lrp_safetensors_close(&st);
  free(text);

  text = many_tensors(1000002);
  assert_refused(text, 0, "more than 1000000 tensors");
  free(text);
}

/* What is small in the file but large as a tree is refused before the tree. */
static void test_bloat(void **state) {
  const size_t n = 21000000;
  char *text = malloc(2 * n + 16);
  size_t at = 5;
  (void)state;

  assert_non_null(text);
  memcpy(text, "{\"a\":", 5);
  text[at++] = '[';
  for (size_t i = 0; i < n; i++) {
    text[at++] = '0';
    text[at++] = ',';
  }
  memcpy(text + at, "0]}", 4);
  assert_refused(text, 0, "more than 20000000 values");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_read),      cmocka_unit_test(test_no_tensors),
      cmocka_unit_test(test_files),     cmocka_unit_test(test_header_length),
      cmocka_unit_test(test_json),      cmocka_unit_test(test_metadata),
      cmocka_unit_test(test_members),   cmocka_unit_test(test_dtypes),
      cmocka_unit_test(test_shapes),    cmocka_unit_test(test_places),
      cmocka_unit_test(test_truncated), cmocka_unit_test(test_names),
      cmocka_unit_test(test_nesting),   cmocka_unit_test(test_counts),
      cmocka_unit_test(test_bloat),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
