/* Every small change of a valid file is accepted or refused, and nothing else happens: run it with
 * the sanitizers. */
#include <fcntl.h>

#include "io/model/model.h"
#include "tests/io/model/fixture.h"

static const char changes[] = {'\0', '"', '{', '}', '[', ']', ',', ':',        '\\',
                               '-',  '0', '9', 'e', '.', ' ', 'a', (char)0x80, (char)0xff};
enum { n_changes = sizeof changes, bits = 8 };

/* The i-th change of one byte: a flipped bit, or one of the characters of JSON. */
static char changed(char byte, int i) {
  const int flipped = byte ^ 1 << (i % bits);
  return i < bits ? (char)flipped : changes[i - bits];
}

/* Calls check for every change of a byte of the file before end, and every truncation. */
static int for_all_changes(const char *path, size_t end, void (*check)(const char *)) {
  char *original;
  size_t size = 0;
  int count = 0;
  FILE *f = fopen(path, "rb");

  assert_non_null(f);
  original = malloc(1 << 16);
  assert_non_null(original);
  size = fread(original, 1, 1 << 16, f);
  fclose(f);
  assert_in_range(size, end, (1 << 16) - 1);
  for (size_t i = 0; i < end; i++) {
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (int k = 0; k < bits + n_changes; k++, count++) {
      const char byte = changed(original[i], k);
      assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
      check(path);
    }
    assert_int_equal(pwrite(fd, original + i, 1, (off_t)i), 1);
    close(fd);
  }
  for (size_t cut = size; cut-- > 0; count++) {
    assert_int_equal(truncate(path, (off_t)cut), 0);
    check(path);
  }
  free(original);
  return count;
}

/* Every byte of every tensor lies in the mapping, and none in two. */
static void check_tensors(const lrp_safetensors *st) {
  const unsigned char *map = st->map;
  size_t total = 0, header = 0;
  unsigned sum = 0;

  for (int i = 7; i >= 0; i--) header = header << 8 | map[i];
  for (int64_t i = 0; i < st->count; i++) {
    const lrp_safetensor *t = &st->tensors[i];
    const unsigned char *p = t->data;
    assert_true(p >= map + 8 + header && p + t->bytes <= map + st->size);
    for (size_t j = 0; j < t->bytes; j++) sum += p[j];
    total += t->bytes;
    assert_ptr_equal(lrp_safetensors_find(st, t->name), t);
  }
  assert_int_equal(total, st->size - 8 - header);
  assert_true(sum < 1u << 31);
}

static void check_status(lrp_status st) {
  if (st != LRP_OK && st != LRP_ERR_DATA) fail_msg("status %d", (int)st);
  if (st == LRP_ERR_DATA) assert_non_null(lrp_failure_message(st));
  lrp_failure_clear();
}

static int accepted;

static void check_safetensors(const char *path) {
  lrp_safetensors st;
  const lrp_status status = lrp_safetensors_open(path, &st);
  if (status == LRP_OK) {
    accepted++;
    check_tensors(&st);
    lrp_safetensors_close(&st);
  }
  check_status(status);
}

static void test_header(void **state) {
  static const char header[] =
      "{\"__metadata__\":{\"format\":\"pt\"},"
      "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
      "\"e\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[24,24]},"
      "\"b\\u00fc\":{\"dtype\":\"BF16\",\"shape\":[1,4],\"data_offsets\":[24,32]}}  ";
  const char *path = write_header("fuzz.safetensors", header, 32);
  int count;
  (void)state;

  accepted = 0;
  count = for_all_changes(path, 8 + strlen(header), check_safetensors);
  assert_true(count > 5000);
  assert_in_range(accepted, 100, count - 100); /* both happen */
}

static char model_dir[1024];

static void check_model(const char *path) {
  lrp_model m;
  const lrp_status status = lrp_model_open(model_dir, &m);
  (void)path;
  if (status == LRP_OK) {
    accepted++;
    for (int64_t i = 0; i < lrp_model_weight_count(&m); i++) {
      const char *name;
      lrp_matrix view;
      int64_t row, col;
      lrp_model_weight(&m, i, &name, &view);
      assert_non_null(view.data);
      (void)lrp_matrix_count_nonfinite(&view, &row, &col);
    }
    lrp_model_close(&m);
  }
  if (status == LRP_ERR_ABSENT) { /* a file of another name */
    lrp_failure_clear();
    return;
  }
  check_status(status);
}

static void change_file_of_model(int files, const char *name) {
  char path[1200];
  struct stat s;
  int count;
  fixture f;

  fixture_init(&f);
  fixture_split(&f, files);
  snprintf(model_dir, sizeof model_dir, "%s", fixture_write(&f));
  snprintf(path, sizeof path, "%s/%s", model_dir, name);
  assert_int_equal(stat(path, &s), 0);
  accepted = 0;
  count = for_all_changes(path, (size_t)s.st_size, check_model);
  assert_in_range(accepted, 20, count - 100);
}

static void test_config(void **state) {
  (void)state;
  change_file_of_model(1, "config.json");
}

static void test_index(void **state) {
  (void)state;
  change_file_of_model(2, "model.safetensors.index.json");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_header),
      cmocka_unit_test(test_config),
      cmocka_unit_test(test_index),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
