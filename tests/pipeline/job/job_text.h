/** @file tests/pipeline/job/job_text.h
 *  Jobs, models and captured output for the tests of this folder. Include it after cmocka.h. */
#ifndef LRP_TESTS_PIPELINE_JOB_JOB_TEXT_H
#define LRP_TESTS_PIPELINE_JOB_JOB_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/job.h"

/* Lines 1 to 3 of a job; what follows starts at line 4. */
#define HEAD "model: m\noutput: o\nconfigurations: [{name: dense}]\n"
/* Lines 1 and 2; an entry of configurations that follows starts at 4:5. */
#define LIST "model: m\noutput: o\nconfigurations:\n  - "

static inline lrp_status parse_job(const char *text, lrp_job *job) {
  lrp_failure_clear();
  return lrp_job_parse("x.yaml", text, strlen(text), NULL, job);
}

/* Parse text, which must fail with LRP_ERR_JOB and this message (its beginning). */
#define assert_job_error(text, message) assert_message(parse_job(text, &(lrp_job){0}), message)

#define assert_message(st, message)                                   \
  do {                                                                \
    const lrp_status st_ = (st);                                      \
    const char *got_ = lrp_failure_message(st_);                      \
    assert_int_equal(st_, LRP_ERR_JOB);                               \
    assert_non_null(got_);                                            \
    if (strncmp(got_, message, strlen(message)) != 0) {               \
      fail_msg("expected the message '%s', got '%s'", message, got_); \
    }                                                                 \
    lrp_failure_clear();                                              \
  } while (0)

/* config.json of Llama-2-7B, and a small one. */
#define LLAMA2_7B                                                                          \
  "{\"architectures\": [\"LlamaForCausalLM\"], \"bos_token_id\": 1, \"eos_token_id\": 2, " \
  "\"hidden_act\": \"silu\", \"hidden_size\": 4096, \"initializer_range\": 0.02, "         \
  "\"intermediate_size\": 11008, \"max_position_embeddings\": 4096, "                      \
  "\"model_type\": \"llama\", \"num_attention_heads\": 32, \"num_hidden_layers\": 32, "    \
  "\"num_key_value_heads\": 32, \"pretraining_tp\": 1, \"rms_norm_eps\": 1e-05, "          \
  "\"rope_scaling\": null, \"tie_word_embeddings\": false, \"torch_dtype\": \"float16\", " \
  "\"transformers_version\": \"4.31.0.dev0\", \"use_cache\": true, \"vocab_size\": 32000}"
#define SMALL_LLAMA                                                                            \
  "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_act\": \"silu\", \"hidden_size\": 8, " \
  "\"intermediate_size\": 24, \"max_position_embeddings\": 64, \"model_type\": \"llama\", "    \
  "\"num_attention_heads\": 4, \"num_hidden_layers\": 3, \"num_key_value_heads\": 2, "         \
  "\"rms_norm_eps\": 1e-05, \"tie_word_embeddings\": true, \"vocab_size\": 50}"

/* config.json of bert-base-uncased and bert-large-uncased, and a small classifier. */
#define BERT(hidden, intermediate, heads, layers)                                                  \
  "{\"architectures\": [\"BertForMaskedLM\"], \"attention_probs_dropout_prob\": 0.1, "             \
  "\"gradient_checkpointing\": false, \"hidden_act\": \"gelu\", \"hidden_dropout_prob\": 0.1, "    \
  "\"hidden_size\": " hidden ", \"initializer_range\": 0.02, \"intermediate_size\": " intermediate \
  ", \"layer_norm_eps\": 1e-12, \"max_position_embeddings\": 512, \"model_type\": \"bert\", "      \
  "\"num_attention_heads\": " heads ", \"num_hidden_layers\": " layers                             \
  ", \"pad_token_id\": 0, \"position_embedding_type\": \"absolute\", \"type_vocab_size\": 2, "     \
  "\"use_cache\": true, \"vocab_size\": 30522}"
#define BERT_BASE  BERT("768", "3072", "12", "12")
#define BERT_LARGE BERT("1024", "4096", "16", "24")
#define TINY_BERT(class)                                                                      \
  "{\"architectures\": [\"" class                                                             \
      "\"], \"model_type\": \"bert\", \"hidden_act\": \"gelu\", "                             \
      "\"hidden_size\": 8, \"intermediate_size\": 16, \"num_hidden_layers\": 2, "             \
      "\"num_attention_heads\": 2, \"max_position_embeddings\": 32, \"type_vocab_size\": 2, " \
      "\"layer_norm_eps\": 1e-12, \"vocab_size\": 50}"
#define SMALL_BERT TINY_BERT("BertForSequenceClassification")
#define BARE_BERT  TINY_BERT("BertModel")

/* A new directory with this config.json; remove it with remove_model. */
static inline const char *create_model(const char *config_json, char dir[64]) {
  char path[96];
  FILE *f;

  strcpy(dir, "/tmp/lrp-job-XXXXXX");
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/config.json", dir);
  f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(config_json, f) >= 0);
  assert_int_equal(fclose(f), 0);
  return dir;
}

static inline void remove_model(const char *dir) {
  char path[96];
  snprintf(path, sizeof path, "%s/config.json", dir);
  unlink(path);
  rmdir(dir);
}

/* What a stream's descriptor gets between capture_begin and capture_end. */
typedef struct {
  FILE *stream, *file;
  int saved;
} capture;

static inline capture capture_begin(FILE *stream) {
  capture c = {.stream = stream, .file = tmpfile()};
  assert_non_null(c.file);
  fflush(stream);
  c.saved = dup(fileno(stream));
  assert_true(c.saved >= 0);
  assert_true(dup2(fileno(c.file), fileno(stream)) >= 0);
  return c;
}

static inline const char *capture_end(capture *c, char *text, size_t size) {
  size_t n;
  fflush(c->stream);
  dup2(c->saved, fileno(c->stream));
  close(c->saved);
  rewind(c->file);
  n = fread(text, 1, size - 1, c->file);
  text[n] = '\0';
  fclose(c->file);
  return text;
}

#define assert_contains(text, part)                                   \
  do {                                                                \
    if (!strstr(text, part)) fail_msg("no '%s' in:\n%s", part, text); \
  } while (0)

#endif
