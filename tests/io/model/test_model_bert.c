#include "io/model/model.h"
#include "tests/io/model/fixture.h"

#define CONFIG(name, more)                                                     \
  "{\"architectures\": [\"" name                                               \
  "\"], \"hidden_size\": 10, \"intermediate_size\": 6, "                       \
  "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"vocab_size\": 12, " \
  "\"max_position_embeddings\": 5, \"type_vocab_size\": 3" more "}"

typedef struct {
  const char *name;
  int64_t rows, cols; /* rows = 0: a vector */
} tensor;

static void add_all(fixture *f, const char *prefix, const tensor *list, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char name[96];
    snprintf(name, sizeof name, "%s%s", prefix, list[i].name);
    fixture_add(f, name, list[i].rows, list[i].cols);
  }
}

#define ADD_ALL(f, prefix, list) add_all(f, prefix, list, sizeof list / sizeof *list)

/* The encoder, its names behind prefix. */
static void add_encoder(fixture *f, const char *prefix) {
  static const tensor embeddings[] = {{"word_embeddings.weight", 12, 10},
                                      {"position_embeddings.weight", 5, 10},
                                      {"token_type_embeddings.weight", 3, 10},
                                      {"LayerNorm.weight", 0, 10},
                                      {"LayerNorm.bias", 0, 10}};
  static const tensor layer[] = {{"attention.self.query.weight", 10, 10},
                                 {"attention.self.query.bias", 0, 10},
                                 {"attention.self.key.weight", 10, 10},
                                 {"attention.self.key.bias", 0, 10},
                                 {"attention.self.value.weight", 10, 10},
                                 {"attention.self.value.bias", 0, 10},
                                 {"attention.output.dense.weight", 10, 10},
                                 {"attention.output.dense.bias", 0, 10},
                                 {"attention.output.LayerNorm.weight", 0, 10},
                                 {"attention.output.LayerNorm.bias", 0, 10},
                                 {"intermediate.dense.weight", 6, 10},
                                 {"intermediate.dense.bias", 0, 6},
                                 {"output.dense.weight", 10, 6},
                                 {"output.dense.bias", 0, 10},
                                 {"output.LayerNorm.weight", 0, 10},
                                 {"output.LayerNorm.bias", 0, 10}};
  char at[64];
  snprintf(at, sizeof at, "%sembeddings.", prefix);
  ADD_ALL(f, at, embeddings);
  for (int l = 0; l < 2; l++) {
    snprintf(at, sizeof at, "%sencoder.layer.%d.", prefix, l);
    ADD_ALL(f, at, layer);
  }
}

static void classifier(fixture *f, const char *prefix) {
  static const tensor pooler[] = {{"pooler.dense.weight", 10, 10}, {"pooler.dense.bias", 0, 10}};
  static const tensor head[] = {{"classifier.weight", 4, 10}, {"classifier.bias", 0, 4}};
  *f = (fixture){.config = CONFIG("BertForSequenceClassification", ", \"num_labels\": 4"),
                 .files = 1};
  add_encoder(f, prefix);
  ADD_ALL(f, prefix, pooler);
  ADD_ALL(f, "", head);
}

static void masked(fixture *f) {
  static const tensor head[] = {{"transform.dense.weight", 10, 10},
                                {"transform.dense.bias", 0, 10},
                                {"transform.LayerNorm.weight", 0, 10},
                                {"transform.LayerNorm.bias", 0, 10},
                                {"bias", 0, 12}};
  *f = (fixture){.config = CONFIG("BertForMaskedLM", ""), .files = 1};
  add_encoder(f, "bert.");
  ADD_ALL(f, "cls.predictions.", head);
}

static int number_of(const fixture *f, const char *name) {
  for (int i = 0; i < f->count; i++) {
    if (strcmp(f->tensors[i].name, name) == 0) return i;
  }
  fail_msg("no %s in the fixture", name);
  return -1;
}

/* The view shows what the fixture wrote for name. */
static void assert_view(const fixture *f, const char *name, const lrp_matrix *view) {
  const int number = number_of(f, name);
  assert_non_null(view->data);
  for (int64_t k = 0; k < view->rows * view->cols; k++) {
    float value;
    lrp_to_f32(&value, (const char *)view->data + (size_t)k * lrp_dtype_size(view->dtype),
               view->dtype, 1);
    assert_true(value == fixture_value(number, k));
  }
}

/* Opens f: as many weights are scanned, each shows what was written under the name in the file. */
static lrp_model opened(const fixture *f, int64_t weights) {
  lrp_model m;
  check_ok(lrp_model_open(fixture_write(f), &m));
  assert_int_equal(lrp_model_weight_count(&m), weights);
  for (int64_t i = 0; i < weights; i++) {
    const char *name;
    lrp_matrix view;
    lrp_model_weight(&m, i, &name, &view);
    assert_view(f, name, &view);
  }
  return m;
}

static void assert_refused(const fixture *f, const char *part) {
  lrp_model m;
  assert_failure(lrp_model_open(fixture_write(f), &m), LRP_ERR_DATA, part);
  lrp_model_close(&m);
}

static void test_classifier(void **state) {
  fixture f;
  lrp_bert b;
  (void)state;
  classifier(&f, "bert.");
  fixture_add(&f, "bert.embeddings.position_ids", 1, 5)->dtype = "I64"; /* tolerated */
  fixture_add(&f, "cls.seq_relationship.weight", 2, 10);                /* unused */
  lrp_model m = opened(&f, 5 + 2 * 16 + 4);
  check_ok(lrp_model_bert(&m, &b));
  assert_view(&f, "bert.embeddings.token_type_embeddings.weight", &b.type_embeddings);
  assert_view(&f, "bert.embeddings.LayerNorm.bias", &b.embedding_norm.bias);
  assert_view(&f, "bert.encoder.layer.1.attention.self.value.weight",
              &b.layers[1].linear[LRP_BERT_VALUE].w);
  assert_view(&f, "bert.encoder.layer.1.intermediate.dense.bias",
              &b.layers[1].linear[LRP_BERT_INTERMEDIATE].bias);
  assert_int_equal(b.layers[0].linear[LRP_BERT_OUTPUT].n_in, 6);
  assert_int_equal(b.layers[0].linear[LRP_BERT_OUTPUT].n_out, 10);
  assert_view(&f, "bert.encoder.layer.0.attention.output.LayerNorm.weight",
              &b.layers[0].attention_norm.weight);
  assert_view(&f, "bert.encoder.layer.0.output.LayerNorm.bias", &b.layers[0].output_norm.bias);
  assert_view(&f, "bert.pooler.dense.bias", &b.pooler.bias);
  assert_view(&f, "classifier.weight", &b.output.w);
  assert_int_equal(b.output.n_out, 4);
  assert_int_equal(b.config.num_labels, 4);
  lrp_model_bert_free(&b);
  lrp_model_bert_free(&b);
  lrp_model_close(&m);
}

/* Without "bert.", whatever the class; names of units follow. */
static void test_names_without_prefix(void **state) {
  fixture f;
  char path[96];
  (void)state;
  classifier(&f, "");
  lrp_model m = opened(&f, 5 + 2 * 16 + 4);
  assert_true(m.config.bare_names);
  lrp_config_tensor_path(&m.config, 0, LRP_BERT_QUERY, path, sizeof path);
  assert_string_equal(path, "encoder.layer.0.attention.self.query.weight");
  lrp_model_close(&m);

  f = (fixture){.config = CONFIG("BertModel", ""), .files = 1};
  add_encoder(&f, "bert."); /* a BertModel with the prefix, and without a pooler */
  m = opened(&f, 5 + 2 * 16);
  assert_false(m.config.bare_names);
  assert_int_equal(lrp_model_dtype(&m), LRP_F32);
  lrp_model_close(&m);
}

/* LayerNorm.weight and .bias were called gamma and beta once. */
static void test_old_names(void **state) {
  fixture f;
  lrp_bert b;
  (void)state;
  masked(&f);
  for (int i = 0; i < f.count; i++) {
    char *norm = strstr(f.tensors[i].name, "LayerNorm.");
    if (norm) strcpy(strchr(norm, '.') + 1, strstr(norm, "weight") ? "gamma" : "beta");
  }
  lrp_model m = opened(&f, 5 + 2 * 16 + 5);
  check_ok(lrp_model_bert(&m, &b));
  assert_view(&f, "bert.encoder.layer.1.output.LayerNorm.gamma", &b.layers[1].output_norm.weight);
  assert_view(&f, "cls.predictions.transform.LayerNorm.beta", &b.transform_norm.bias);
  lrp_model_bert_free(&b);
  lrp_model_close(&m);
}

static void test_decoder(void **state) {
  fixture f;
  lrp_bert b;
  (void)state;
  masked(&f);
  lrp_model m = opened(&f, 5 + 2 * 16 + 5);
  check_ok(lrp_model_bert(&m, &b));
  assert_true(b.output.w.data == b.word_embeddings.data); /* tied */
  assert_view(&f, "cls.predictions.bias", &b.output.bias);
  assert_view(&f, "cls.predictions.transform.dense.weight", &b.transform.w);
  assert_int_equal(b.output.n_out, 12);
  assert_null(b.pooler.w.data);
  lrp_model_bert_free(&b);
  lrp_model_close(&m);

  fixture_find(&f, "bert.embeddings.word_embeddings.weight")->name[0] = 'x';
  fixture_add(&f, "cls.predictions.decoder.weight", 12, 10); /* the tied matrix lies there */
  strcpy(fixture_find(&f, "cls.predictions.bias")->name, "cls.predictions.decoder.bias");
  m = opened(&f, 5 + 2 * 16 + 5);
  lrp_model_close(&m);

  masked(&f);
  f.config = CONFIG("BertForMaskedLM", ", \"tie_word_embeddings\": false");
  assert_refused(&f, "1 of 43 weights are absent: cls.predictions.decoder.weight");
  fixture_add(&f, "cls.predictions.decoder.weight", 12, 10);
  m = opened(&f, 5 + 2 * 16 + 6);
  check_ok(lrp_model_bert(&m, &b));
  assert_view(&f, "cls.predictions.decoder.weight", &b.output.w);
  lrp_model_bert_free(&b);
  lrp_model_close(&m);
}

static void test_question_answering(void **state) {
  fixture f = {.config = CONFIG("BertForQuestionAnswering", ""), .files = 1};
  lrp_bert b;
  (void)state;
  add_encoder(&f, "bert.");
  fixture_add(&f, "qa_outputs.weight", 2, 10);
  assert_refused(&f, "1 of 39 weights are absent: qa_outputs.bias");
  fixture_add(&f, "qa_outputs.bias", 0, 2);
  lrp_model m = opened(&f, 5 + 2 * 16 + 2);
  check_ok(lrp_model_bert(&m, &b));
  assert_view(&f, "qa_outputs.weight", &b.output.w);
  assert_view(&f, "qa_outputs.bias", &b.output.bias);
  lrp_model_bert_free(&b);
  lrp_model_close(&m);
}

static void test_wrong_weights(void **state) {
  fixture f;
  (void)state;
  classifier(&f, "bert.");
  fixture_remove(&f, "bert.encoder.layer.1.output.dense.bias");
  fixture_remove(&f, "bert.encoder.layer.0.output.LayerNorm.weight");
  assert_refused(&f,
                 "2 of 41 weights are absent: bert.encoder.layer.0.output.LayerNorm.weight, "
                 "bert.encoder.layer.1.output.dense.bias");
  classifier(&f, "bert.");
  fixture_find(&f, "classifier.weight")->shape[0] = 2;
  assert_refused(&f,
                 "tensor classifier.weight: shape is [2, 10], but config.json asks for [4, 10]");
  classifier(&f, "bert.");
  fixture_find(&f, "bert.pooler.dense.weight")->dtype = "F64";
  assert_refused(&f, "bert.pooler.dense.weight: dtype F64 is not supported");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_classifier),         cmocka_unit_test(test_names_without_prefix),
      cmocka_unit_test(test_old_names),          cmocka_unit_test(test_decoder),
      cmocka_unit_test(test_question_answering), cmocka_unit_test(test_wrong_weights),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
