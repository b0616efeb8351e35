#include "io/model/config.h"
#include "tests/io/model/fixture.h"

/* Keys that have no default, with those of the test after them; no size divides another. */
#define BERT(name, more)                                                       \
  "{\"architectures\": [\"" name                                               \
  "\"], \"model_type\": \"bert\", "                                            \
  "\"hidden_size\": 12, \"intermediate_size\": 20, \"num_hidden_layers\": 3, " \
  "\"num_attention_heads\": 3, \"vocab_size\": 101" more "}"
#define CLASSIFIER(more) BERT("BertForSequenceClassification", more)

static lrp_status read_text(const char *text, lrp_config *c) {
  temp_text("config.json", text);
  return lrp_config_read(temp_dir, c);
}

static lrp_config accepted(const char *text) {
  lrp_config c;
  check_ok(read_text(text, &c));
  return c;
}

static void assert_refused(const char *text, const char *part) {
  lrp_config c;
  assert_failure(read_text(text, &c), LRP_ERR_DATA, part);
}

static void test_defaults(void **state) {
  const lrp_config c = accepted(CLASSIFIER(""));
  (void)state;

  assert_int_equal(c.family, LRP_FAMILY_BERT);
  assert_int_equal(c.bert.head, LRP_BERT_CLASSIFIER);
  assert_int_equal(c.bert.hidden_size, 12);
  assert_int_equal(c.bert.intermediate_size, 20);
  assert_int_equal(c.bert.num_attention_heads, 3);
  assert_int_equal(c.bert.type_vocab_size, 2);
  assert_int_equal(c.bert.num_labels, 2);
  assert_int_equal(c.bert.hidden_act, LRP_GELU);
  assert_true(c.bert.layer_norm_eps == 1e-12);
  assert_true(c.tie_word_embeddings);
  assert_false(c.bare_names);
  assert_string_equal(c.labels[0], "");
  assert_int_equal(lrp_config_layers(&c), 3);
  assert_int_equal(lrp_config_vocab_size(&c), 101);
  assert_int_equal(lrp_config_positions(&c), 512);
}

static void test_all_keys(void **state) {
  const lrp_config c = accepted(
      CLASSIFIER(", \"hidden_act\": \"gelu_new\", \"layer_norm_eps\": 1e-5, \"num_labels\": 9, "
                 "\"type_vocab_size\": 4, \"max_position_embeddings\": 33, "
                 "\"position_embedding_type\": \"absolute\", \"classifier_dropout\": null, "
                 "\"id2label\": {\"0\": \"no\", \"1\": \"perhaps\", \"2\": \"yes\"}, "
                 "\"tie_word_embeddings\": false, \"is_decoder\": false"));
  (void)state;

  assert_int_equal(c.bert.hidden_act, LRP_GELU_TANH);
  assert_true(c.bert.layer_norm_eps == 1e-5);
  assert_int_equal(c.bert.num_labels, 3); /* id2label decides, as in Hugging Face */
  assert_string_equal(c.labels[1], "perhaps");
  assert_string_equal(c.labels[3], "");
  assert_int_equal(c.bert.type_vocab_size, 4);
  assert_int_equal(lrp_config_positions(&c), 33);
  assert_false(c.tie_word_embeddings);
  assert_int_equal(accepted(CLASSIFIER(", \"hidden_act\": \"relu\"")).bert.hidden_act, LRP_RELU);
}

static void test_refused(void **state) {
  (void)state;
  assert_refused(CLASSIFIER(", \"position_embedding_type\": \"relative_key\""),
                 "config.json: position_embedding_type: expected \"absolute\", the one that is "
                 "supported, got \"relative_key\"");
  assert_refused(CLASSIFIER(", \"hidden_act\": \"silu\""), "hidden_act: expected one of gelu");
  assert_refused(CLASSIFIER(", \"hidden_act\": 3"), "hidden_act: expected one of gelu");
  assert_refused(CLASSIFIER(", \"is_decoder\": true"), "is_decoder: expected false");
  assert_refused(CLASSIFIER(", \"add_cross_attention\": true"), "add_cross_attention");
  assert_refused(CLASSIFIER(", \"layer_norm_eps\": 0"), "layer_norm_eps: expected a number > 0");
  assert_refused(CLASSIFIER(", \"num_labels\": 0"), "num_labels: expected an integer");
  assert_refused(CLASSIFIER(", \"id2label\": {}"), "id2label: expected an object");
  assert_refused(CLASSIFIER(", \"id2label\": [\"a\"]"), "id2label: expected an object");
  assert_refused(CLASSIFIER(", \"id2label\": {\"1\": \"a\", \"2\": \"b\"}"),
                 "id2label: 2 labels, but none called \"0\"");
  assert_refused(BERT("BertForQuestionAnswering", ", \"num_labels\": 3"),
                 "BertForQuestionAnswering has 2 outputs (start and end of an answer), got 3");
  assert_refused("{\"architectures\": [\"BertModel\"]}", "key hidden_size is missing");
  assert_refused(
      "{\"architectures\": [\"BertModel\"], \"hidden_size\": 10, \"vocab_size\": 9, "
      "\"intermediate_size\": 7, \"num_hidden_layers\": 1, \"num_attention_heads\": 3}",
      "num_attention_heads: 3 does not divide hidden_size 10");
  assert_refused(BERT("BertForPreTraining", ""), "BertForPreTraining is not supported");
}

static void test_tensors(void **state) {
  static const char *const names[] = {"query",        "key",   "value", "attention.output",
                                      "intermediate", "output"};
  const lrp_config c = accepted(CLASSIFIER("")), bare = accepted(BERT("BertModel", ""));
  char path[96];
  int64_t m, n;
  (void)state;

  assert_int_equal(lrp_config_layer_tensors(&c), 6);
  for (int t = 0; t < 6; t++) {
    assert_string_equal(lrp_config_tensor_name(&c, t), names[t]);
    assert_true(lrp_config_has_bias(&c, t));
    lrp_config_tensor_shape(&c, t, &m, &n);
    assert_int_equal(m, t == 4 ? 20 : 12);
    assert_int_equal(n, t == 5 ? 20 : 12);
  }
  lrp_config_tensor_path(&c, 2, LRP_BERT_KEY, path, sizeof path);
  assert_string_equal(path, "bert.encoder.layer.2.attention.self.key.weight");
  lrp_config_tensor_path(&c, 0, LRP_BERT_ATTENTION_OUTPUT, path, sizeof path);
  assert_string_equal(path, "bert.encoder.layer.0.attention.output.dense.weight");
  lrp_config_tensor_path(&bare, 1, LRP_BERT_OUTPUT, path, sizeof path);
  assert_string_equal(path, "encoder.layer.1.output.dense.weight");
}

/* Counts of transformers 4.46: the sum over the parameters of the class. */
static void test_parameters(void **state) {
  static const char odd[] = ", \"type_vocab_size\": 3, \"max_position_embeddings\": 33";
  static const struct {
    const char *name, *more;
    int64_t parameters, linear;
  } cases[] = {
      {"BertModel", "", 5376, 3312},
      {"BertForSequenceClassification", "", 5402, 3336},
      {"BertForSequenceClassification", ", \"num_labels\": 5", 5441, 3372},
      {"BertForQuestionAnswering", "", 5246, 3192},
      {"BertForMaskedLM", "", 5501, 4524},
      {"BertForMaskedLM", ", \"tie_word_embeddings\": false", 6713, 4524},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[1024];
    snprintf(text, sizeof text, BERT("%s", "%s%s"), cases[i].name, odd, cases[i].more);
    const lrp_config c = accepted(text);
    assert_int_equal(lrp_config_parameters(&c), cases[i].parameters);
    assert_int_equal(lrp_config_linear_parameters(&c), cases[i].linear);
  }
}

/* bert-base-uncased and bert-large-uncased, from transformers, too */
static void test_published_models(void **state) {
  static const struct {
    const char *name;
    int layers, hidden, heads;
    int64_t parameters;
  } cases[] = {
      {"BertModel", 12, 768, 12, 109482240},
      {"BertForSequenceClassification", 12, 768, 12, 109483778},
      {"BertForQuestionAnswering", 12, 768, 12, 108893186},
      {"BertForMaskedLM", 12, 768, 12, 109514298},
      {"BertModel", 24, 1024, 16, 335141888},
      {"BertForMaskedLM", 24, 1024, 16, 335174458},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[1024];
    snprintf(text, sizeof text,
             "{\"architectures\": [\"%s\"], \"hidden_size\": %d, \"intermediate_size\": %d, "
             "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, \"vocab_size\": 30522}",
             cases[i].name, cases[i].hidden, 4 * cases[i].hidden, cases[i].layers, cases[i].heads);
    const lrp_config c = accepted(text);
    assert_int_equal(lrp_config_parameters(&c), cases[i].parameters);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),   cmocka_unit_test(test_all_keys),
      cmocka_unit_test(test_refused),    cmocka_unit_test(test_tensors),
      cmocka_unit_test(test_parameters), cmocka_unit_test(test_published_models),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
