/* A real BERT classifier: logits that other programs computed. Needs the shared data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/model/model.h"

enum { max_inputs = 128, max_tokens = 64, labels = 2 };

typedef struct {
  lrp_model model;
  lrp_bert bert;
  lrp_bert_workspace *ws;
  int64_t count;
  lrp_bert_input inputs[max_inputs];
  int32_t tokens[max_inputs][max_tokens];
  double logits[max_inputs][labels];
} fixture;

static char *shared_path(const char *name) {
  char *path = lrp_path_join(getenv("LRP_SHARED"), name);
  assert_non_null(path);
  return path;
}

/* Token ids and logits of every sample of the file's list. */
static void load(fixture *f, const char *name, const char *list) {
  char *path = shared_path(name);
  json_t *root = json_load_file(path, 0, NULL), *sample, *id;
  size_t i, k;
  assert_non_null(root);
  f->count = (int64_t)json_array_size(json_object_get(root, list));
  assert_in_range(f->count, 20, max_inputs);
  json_array_foreach(json_object_get(root, list), i, sample) {
    const json_t *ids = json_object_get(sample, "ids"), *logits = json_object_get(sample, "logits");
    assert_in_range(json_array_size(ids), 2, max_tokens);
    json_array_foreach(ids, k, id) f->tokens[i][k] = (int32_t)json_integer_value(id);
    f->inputs[i] = (lrp_bert_input){.tokens = f->tokens[i], .n_tokens = (int64_t)k};
    for (k = 0; k < labels; k++) f->logits[i][k] = json_real_value(json_array_get(logits, k));
  }
  json_decref(root);
  free(path);
}

static void open_model(fixture *f, lrp_dtype operands) {
  char *path = shared_path("data/models/bert-tiny-sst2");
  assert_int_equal(lrp_model_open(path, &f->model), LRP_OK);
  assert_int_equal(lrp_model_bert(&f->model, &f->bert), LRP_OK);
  assert_int_equal(lrp_bert_workspace_create(&f->bert.config, operands, &f->ws), LRP_OK);
  free(path);
}

static void close_model(fixture *f) {
  lrp_bert_workspace_destroy(&f->ws);
  lrp_model_bert_free(&f->bert);
  lrp_model_close(&f->model);
}

/* All in one batch, and some alone. */
static void check_logits(fixture *f, double tolerance) {
  float out[max_inputs][labels], alone[labels];
  assert_int_equal(lrp_bert_forward(&f->bert, f->ws, f->inputs, f->count, out[0]), LRP_OK);
  for (int64_t i = 0; i < f->count; i++) {
    for (int k = 0; k < labels; k++) {
      assert_true(fabs((double)out[i][k] - f->logits[i][k]) < tolerance);
    }
    if (i % 9 != 0) continue;
    assert_int_equal(lrp_bert_forward(&f->bert, f->ws, &f->inputs[i], 1, alone), LRP_OK);
    assert_memory_equal(alone, out[i], sizeof alone);
  }
}

static void test_first_sentences(void **state) {
  static fixture f;
  (void)state;
  open_model(&f, LRP_F32);
  assert_int_equal(f.bert.config.num_labels, labels);
  assert_string_equal(f.model.config.labels[1], "positive");
  load(&f, "data/models/bert-tiny-sst2/golden.json", "first20");
  check_logits(&f, 1e-5);
  close_model(&f);
}

static void test_samples(void **state) {
  static fixture f;
  (void)state;
  open_model(&f, LRP_F32);
  load(&f, "data/golden/bert-tiny-sst2-fhe-hybrid.sst2.0shot.dense.json", "samples");
  assert_int_equal(f.count, 100);
  check_logits(&f, 1e-5);
  close_model(&f);
}

static void test_bfloat16(void **state) {
  static fixture f;
  (void)state;
  open_model(&f, LRP_BF16);
  load(&f, "data/models/bert-tiny-sst2/golden.json", "first20");
  check_logits(&f, 0.05);
  close_model(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_sentences),
      cmocka_unit_test(test_samples),
      cmocka_unit_test(test_bfloat16),
  };
  const char *shared = getenv("LRP_SHARED");
  char *data = shared ? lrp_path_join(shared, "data") : NULL;
  const bool there = data && lrp_file_exists(data);

  free(data);
  if (!there) {
    printf("skipped: LRP_SHARED does not name the shared data\n");
    return 77;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
