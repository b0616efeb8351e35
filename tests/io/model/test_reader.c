#include "tests/io/model/fixture.h"

#include <math.h>
#include <unistd.h>
#include <xxhash.h>

#include "io/model/reader.h"

enum { big_count = 300001, n_items = 3 };

/* A file of three tensors: "a" takes several pieces, none of them has a round size. */
typedef struct {
  lrp_safetensors file;
  lrp_reader_item items[n_items];
} sample;

static const char *sample_write(const double *bad, const int64_t *where, int n_bad) {
  static const char header[] =
      "{\"a\":{\"dtype\":\"BF16\",\"shape\":[300001],\"data_offsets\":[0,600002]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[5,7],\"data_offsets\":[600002,600142]},"
      "\"c\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[600142,600158]}}";
  const size_t n = sizeof header - 1, size = 8 + n + 600158;
  unsigned char *bytes = malloc(size);
  assert_non_null(bytes);
  memset(bytes, 0, 8);
  for (int i = 0; i < 2; i++) bytes[i] = (unsigned char)(n >> (8 * i));
  memcpy(bytes + 8, header, n);
  for (size_t i = 0; i < 600158; i++) bytes[8 + n + i] = (unsigned char)(i % 61);
  memset(bytes + size - 16, 0xff, 16); /* NaN, were they floating-point numbers */
  for (int i = 0; i < n_bad; i++) lrp_from_f64(bytes + 8 + n + 2 * where[i], LRP_BF16, &bad[i], 1);
  const char *path = temp_write("sample.safetensors", bytes, size);
  free(bytes);
  return path;
}

static void sample_open(sample *s, const char *path) {
  static const lrp_dtype dtypes[n_items] = {LRP_BF16, LRP_F32, LRP_F32};
  assert_int_equal(lrp_safetensors_open(path, &s->file), LRP_OK);
  assert_int_equal(s->file.count, n_items);
  for (int i = 0; i < n_items; i++) {
    s->items[i] = (lrp_reader_item){.file = &s->file,
                                    .tensor = &s->file.tensors[i],
                                    .look = true,
                                    .weight = i < 2 ? i : -1,
                                    .dtype = dtypes[i]};
  }
}

static void wait_for(lrp_reader *r) {
  while (!lrp_reader_wait(r, 0.3)) continue;
}

static void test_everything_is_seen(void **state) {
  sample s;
  lrp_reader *r;
  (void)state;

  sample_open(&s, sample_write(NULL, NULL, 0));
  s.items[1].look = false;
  assert_int_equal(lrp_reader_start(s.items, n_items, 1, &r), LRP_OK);
  wait_for(r);
  assert_int_equal(lrp_reader_state(r), LRP_OK);
  assert_int_equal(lrp_reader_stop(&r), LRP_OK);
  assert_null(r);
  for (int i = 0; i < n_items; i++) {
    const lrp_safetensor *t = s.items[i].tensor;
    assert_int_equal(s.items[i].done, i != 1);
    assert_int_equal(s.items[i].nonfinite, 0);
    if (i != 1) assert_true(s.items[i].xxh3 == XXH3_64bits(t->data, t->bytes));
  }
  lrp_safetensors_close(&s.file);
}

/* The pieces are 2^18 elements of two bytes. */
static void test_nan_in_any_piece(void **state) {
  static const struct {
    int64_t where[2];
    int n;
  } cases[] = {{{0, 1}, 2}, {{262143, 262144}, 2}, {{300000, 0}, 1}, {{262144, 300000}, 2}};
  const double bad[] = {NAN, INFINITY};
  (void)state;

  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    sample s;
    lrp_reader *r;
    sample_open(&s, sample_write(bad, cases[c].where, cases[c].n));
    assert_int_equal(lrp_reader_start(s.items, n_items, SIZE_MAX, &r), LRP_OK);
    wait_for(r);
    assert_int_equal(lrp_reader_state(r), LRP_ERR_DATA);
    assert_null(lrp_failure_message(LRP_ERR_DATA)); /* whoever knows the model says it */
    assert_int_equal(lrp_reader_stop(&r), LRP_OK);
    assert_int_equal(s.items[0].nonfinite, cases[c].n);
    assert_int_equal(s.items[0].first, cases[c].where[0]);
    assert_true(s.items[0].done);
    assert_false(s.items[1].done); /* later in the model's order: of no interest any more */
    lrp_safetensors_close(&s.file);
  }
}

static void test_an_earlier_weight_is_still_read(void **state) {
  const double bad = NAN;
  const int64_t where = 5;
  sample s;
  lrp_reader *r;
  (void)state;

  sample_open(&s, sample_write(&bad, &where, 1));
  s.items[0].weight = 7;
  s.items[1].weight = 6;
  assert_int_equal(lrp_reader_start(s.items, n_items, 1, &r), LRP_OK);
  wait_for(r);
  assert_int_equal(lrp_reader_stop(&r), LRP_OK);
  assert_true(s.items[1].done);
  assert_false(s.items[2].done);
  lrp_safetensors_close(&s.file);
}

/* However fast it is: what lies too far ahead is not touched. */
static void test_it_does_not_run_ahead(void **state) {
  const size_t a = 600002, b = 140;
  const struct {
    size_t ahead;
    int64_t reached;
    int most; /* items */
  } cases[] = {{0, 0, 1}, {a + b - 1, 0, 1}, {a + b, 0, 2},
               {0, 1, 2}, {b + 15, 1, 2},    {b + 16, 1, 3}};
  (void)state;

  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    sample s;
    lrp_reader *r;
    sample_open(&s, sample_write(NULL, NULL, 0));
    assert_int_equal(lrp_reader_start(s.items, n_items, cases[c].ahead, &r), LRP_OK);
    lrp_reader_reached(r, cases[c].reached);
    usleep(20000);
    assert_int_equal(lrp_reader_stop(&r), LRP_OK);
    for (int i = cases[c].most; i < n_items; i++) assert_false(s.items[i].done);
    lrp_safetensors_close(&s.file);
  }
}

static lrp_status read_after(void (*damage)(const char *path)) {
  const char *path = sample_write(NULL, NULL, 0);
  sample s;
  lrp_reader *r;
  sample_open(&s, path);
  damage(path);
  assert_int_equal(lrp_reader_start(s.items, n_items, 1, &r), LRP_OK);
  wait_for(r);
  const lrp_status state = lrp_reader_state(r);
  assert_int_equal(lrp_reader_stop(&r), state);
  assert_non_null(strstr(lrp_failure_message(state), "sample.safetensors"));
  lrp_failure_clear();
  assert_false(s.items[0].done);
  lrp_safetensors_close(&s.file);
  return state;
}

static void truncate_it(const char *path) {
  assert_int_equal(truncate(path, 9000), 0);
}

static void remove_it(const char *path) {
  assert_int_equal(unlink(path), 0);
}

static void touch_it(const char *path) {
  assert_int_equal(chmod(path, 0600), 0); /* changes ctime alone */
  usleep(20000);                          /* coarse clocks */
  assert_int_equal(chmod(path, 0640), 0);
}

static void test_other_files(void **state) {
  (void)state;
  assert_int_equal(read_after(truncate_it), LRP_ERR_DATA);
  assert_int_equal(read_after(remove_it), LRP_ERR_ABSENT);
  assert_int_equal(read_after(touch_it), LRP_ERR_DATA);
}

static void test_nothing_to_read(void **state) {
  lrp_reader *r;
  (void)state;
  assert_int_equal(lrp_reader_start(NULL, 0, 1, &r), LRP_OK);
  wait_for(r);
  assert_int_equal(lrp_reader_stop(&r), LRP_OK);
  assert_int_equal(lrp_reader_stop(&r), LRP_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_everything_is_seen),
      cmocka_unit_test(test_nan_in_any_piece),
      cmocka_unit_test(test_an_earlier_weight_is_still_read),
      cmocka_unit_test(test_it_does_not_run_ahead),
      cmocka_unit_test(test_other_files),
      cmocka_unit_test(test_nothing_to_read),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
