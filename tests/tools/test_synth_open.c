/* What synth_model makes is what the program's own readers accept. SYNTH_MODEL is its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers that it needs */
#include <cmocka.h>

#include "io/model/model.h"
#include "io/tokenizer/tokenizer.h"
#include "io/tokenizer/wordpiece.h"

static char work[] = "synth_open_XXXXXX";
static char dir[64];

static void make_model(const char *name, const char *arguments) {
  char command[1024];
  snprintf(dir, sizeof dir, "%s/%s", work, name);
  snprintf(command, sizeof command, "'%s' %s %s", SYNTH_MODEL, dir, arguments);
  assert_int_equal(system(command), 0);
}

static void assert_all_finite(const lrp_model *model) {
  for (int64_t i = 0; i < lrp_model_weight_count(model); i++) {
    const char *name;
    lrp_matrix view;
    int64_t row, col;
    lrp_model_weight(model, i, &name, &view);
    assert_int_equal(lrp_matrix_count_nonfinite(&view, &row, &col), 0);
  }
}

static void test_model_opens(void **state) {
  lrp_model model;
  lrp_matrix view;
  (void)state;
  make_model("plain", "--layers 2");
  assert_int_equal(lrp_model_open(dir, &model), LRP_OK);
  assert_int_equal(model.n_shards, 1);
  /* 2 tables of 512 x 64; per layer 4 x 64^2, 3 x 172 x 64, 2 norms; the last norm */
  assert_int_equal(lrp_config_parameters(&model.config),
                   2 * 512 * 64 + 2 * (4 * 4096 + 3 * 172 * 64 + 2 * 64) + 64);
  assert_int_equal(lrp_model_matrix(&model, "model.layers.1.mlp.down_proj.weight", 64, 172, &view),
                   LRP_OK);
  assert_int_equal(view.dtype, LRP_F32);
  assert_all_finite(&model);
  lrp_model_close(&model);
}

static void test_sharded_model_opens(void **state) {
  lrp_model model;
  (void)state;
  make_model("sharded",
             "--layers 3 --heads 6 --kv-heads 2 --head-dim 12 --tied --dtype float16 --shards 4");
  assert_int_equal(lrp_model_open(dir, &model), LRP_OK);
  assert_int_equal(model.n_shards, 4);
  assert_true(model.config.tie_word_embeddings);
  assert_int_equal(model.config.llama.num_key_value_heads, 2);
  assert_int_equal(model.config.llama.head_dim, 12);
  assert_int_equal(lrp_model_dtype(&model), LRP_F16);
  assert_all_finite(&model);
  lrp_model_close(&model);
}

static void test_bert_opens(void **state) {
  static const struct {
    const char *name;
    lrp_bert_head head;
  } heads[] = {{"classifier", LRP_BERT_CLASSIFIER},
               {"answers", LRP_BERT_SPANS},
               {"masked", LRP_BERT_MASKED},
               {"none", LRP_BERT_BARE}};
  (void)state;
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    lrp_wordpiece *tok = NULL;
    lrp_wordpieces pieces = {0};
    lrp_model model;
    char arguments[64];
    snprintf(arguments, sizeof arguments, "--arch bert --layers 2 --head %s", heads[i].name);
    make_model(heads[i].name, arguments);
    assert_int_equal(lrp_model_open(dir, &model), LRP_OK);
    assert_int_equal(model.config.bert.head, heads[i].head);
    assert_int_equal(lrp_config_layer_tensors(&model.config), LRP_BERT_LINEARS);
    assert_all_finite(&model);
    assert_int_equal(lrp_wordpiece_open(dir, &tok), LRP_OK);
    assert_int_equal(lrp_wordpiece_size(tok), lrp_config_vocab_size(&model.config));
    assert_int_equal(lrp_wordpiece_encode(tok, "the question", 12, &pieces), LRP_OK);
    assert_true(pieces.count > 0 && pieces.count <= 11);
    lrp_wordpieces_free(&pieces);
    lrp_wordpiece_close(&tok);
    lrp_model_close(&model);
  }
}

static void assert_round_trip(const lrp_tokenizer *tok, const char *text, int64_t most) {
  lrp_tokens tokens = {0};
  char *again = NULL;
  assert_int_equal(lrp_tokenizer_encode(tok, text, strlen(text), true, &tokens), LRP_OK);
  assert_true(tokens.count > 1 && tokens.count <= most);
  assert_int_equal(tokens.ids[0], 1);
  for (int64_t i = 0; i < tokens.count; i++) assert_true(tokens.ids[i] < lrp_tokenizer_size(tok));
  assert_int_equal(lrp_tokenizer_decode(tok, tokens.ids, tokens.count, &again), LRP_OK);
  assert_string_equal(again, text);
  free(again);
  lrp_tokens_free(&tokens);
}

static void test_tokenizer_opens(void **state) {
  static const char *const vocabularies[] = {"354", "1024", "32000"};
  (void)state;
  for (size_t i = 0; i < sizeof vocabularies / sizeof vocabularies[0]; i++) {
    lrp_tokenizer *tok = NULL;
    char name[32], arguments[64];
    snprintf(name, sizeof name, "vocab%s", vocabularies[i]);
    snprintf(arguments, sizeof arguments, "--layers 1 --vocab %s", vocabularies[i]);
    make_model(name, arguments);
    assert_int_equal(lrp_tokenizer_open(dir, &tok), LRP_OK);
    assert_int_equal(lrp_tokenizer_size(tok), atoi(vocabularies[i]));
    assert_int_equal(lrp_tokenizer_bos(tok), 1);
    assert_int_equal(lrp_tokenizer_eos(tok), 2);
    /* 24 characters with the space in front, and BOS; with word pieces far fewer tokens */
    assert_round_trip(tok, "the question: what is it", i == 0 ? 26 : 14);
    assert_round_trip(tok, "caf\xc3\xa9\n", 9);
    lrp_tokenizer_close(&tok);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model_opens),
      cmocka_unit_test(test_sharded_model_opens),
      cmocka_unit_test(test_bert_opens),
      cmocka_unit_test(test_tokenizer_opens),
  };
  char command[64];
  if (!mkdtemp(work)) return 1;
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  snprintf(command, sizeof command, "rm -rf %s", work);
  return system(command) == 0 ? failed : 1;
}
