#include "tests/tools/synth_arch.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "kernels/matrix.h"
#include "tests/tools/synth_file.h"

static lrp_status grow(lrp_synth_tensors *t) {
  const int64_t capacity = t->capacity ? 2 * t->capacity : 64;
  lrp_synth_tensor *items = realloc(t->items, (size_t)capacity * sizeof *items);
  if (!items) return lrp_fail_memory((size_t)capacity * sizeof *items, "the list of tensors");
  t->items = items;
  t->capacity = capacity;
  return LRP_OK;
}

/* Append a tensor unless *st says that something failed before. rows = 0: a vector. */
__attribute__((format(printf, 7, 8))) static void add(lrp_synth_tensors *t, lrp_status *st,
                                                      lrp_synth_kind kind, int64_t rows,
                                                      int64_t cols, double gain, const char *fmt,
                                                      ...) {
  va_list ap;
  if (*st == LRP_OK && t->count == t->capacity) *st = grow(t);
  if (*st != LRP_OK) return;
  lrp_synth_tensor *x = &t->items[t->count++];
  *x = (lrp_synth_tensor){
      .kind = kind, .ndim = rows ? 2 : 1, .rows = rows ? rows : 1, .cols = cols, .gain = gain};
  va_start(ap, fmt);
  vsnprintf(x->name, sizeof x->name, fmt, ap);
  va_end(ap);
}

/* Weight of a linear map called name in layer l, and its bias where it has one. */
static void add_linear(lrp_synth_tensors *t, lrp_status *st, const char *prefix, int64_t l,
                       const char *name, int64_t m, int64_t n, double gain, bool bias) {
  add(t, st, LRP_SYNTH_LINEAR, m, n, gain, "%s.%lld.%s.weight", prefix, (long long)l, name);
  if (bias) add(t, st, LRP_SYNTH_BIAS, 0, m, 1.0, "%s.%lld.%s.bias", prefix, (long long)l, name);
}

static void add_llama_layer(const lrp_synth_options *o, int64_t l, lrp_synth_tensors *t,
                            lrp_status *st) {
  static const char p[] = "model.layers";
  const int64_t q = o->heads * o->head_dim;
  const int64_t kv = o->kv_heads * o->head_dim;
  /* What is added to the residual stream is damped by the number of additions. */
  const double out = 1.0 / sqrt(2.0 * (double)o->layers);
  add_linear(t, st, p, l, "self_attn.q_proj", q, o->hidden, 1.0, o->attention_bias);
  add_linear(t, st, p, l, "self_attn.k_proj", kv, o->hidden, 1.0, o->attention_bias);
  add_linear(t, st, p, l, "self_attn.v_proj", kv, o->hidden, 1.0, o->attention_bias);
  add_linear(t, st, p, l, "self_attn.o_proj", o->hidden, q, out, o->attention_bias);
  add_linear(t, st, p, l, "mlp.gate_proj", o->intermediate, o->hidden, 1.0, false);
  add_linear(t, st, p, l, "mlp.up_proj", o->intermediate, o->hidden, 1.0, false);
  add_linear(t, st, p, l, "mlp.down_proj", o->hidden, o->intermediate, out, false);
  add(t, st, LRP_SYNTH_NORM, 0, o->hidden, 1.0, "%s.%lld.input_layernorm.weight", p, (long long)l);
  add(t, st, LRP_SYNTH_NORM, 0, o->hidden, 1.0, "%s.%lld.post_attention_layernorm.weight", p,
      (long long)l);
}

static void add_llama(const lrp_synth_options *o, lrp_synth_tensors *t, lrp_status *st) {
  add(t, st, LRP_SYNTH_TABLE, o->vocab, o->hidden, 1.0, "model.embed_tokens.weight");
  for (int64_t l = 0; l < o->layers; l++) add_llama_layer(o, l, t, st);
  add(t, st, LRP_SYNTH_NORM, 0, o->hidden, 1.0, "model.norm.weight");
  if (!o->tied) add(t, st, LRP_SYNTH_TABLE, o->vocab, o->hidden, 1.0, "lm_head.weight");
}

static void add_bert_norm(lrp_synth_tensors *t, lrp_status *st, const char *prefix, int64_t n) {
  add(t, st, LRP_SYNTH_NORM, 0, n, 1.0, "%s.LayerNorm.weight", prefix);
  add(t, st, LRP_SYNTH_BIAS, 0, n, 1.0, "%s.LayerNorm.bias", prefix);
}

static void add_bert_layer(const lrp_synth_options *o, int64_t l, lrp_synth_tensors *t,
                           lrp_status *st) {
  static const char p[] = "bert.encoder.layer";
  const int64_t h = o->hidden;
  char norm[64];
  add_linear(t, st, p, l, "attention.self.query", h, h, 1.0, true);
  add_linear(t, st, p, l, "attention.self.key", h, h, 1.0, true);
  add_linear(t, st, p, l, "attention.self.value", h, h, 1.0, true);
  add_linear(t, st, p, l, "attention.output.dense", h, h, 1.0, true);
  snprintf(norm, sizeof norm, "%s.%lld.attention.output", p, (long long)l);
  add_bert_norm(t, st, norm, h);
  add_linear(t, st, p, l, "intermediate.dense", o->intermediate, h, 1.0, true);
  add_linear(t, st, p, l, "output.dense", h, o->intermediate, 1.0, true);
  snprintf(norm, sizeof norm, "%s.%lld.output", p, (long long)l);
  add_bert_norm(t, st, norm, h);
}

/* As the class of bert_class() has it; the decoder is tied to the embedding. */
static void add_bert_head(const lrp_synth_options *o, lrp_synth_tensors *t, lrp_status *st) {
  static const char decoder[] = "cls.predictions.transform";
  const int64_t h = o->hidden;
  if (o->head == LRP_SYNTH_CLASSIFIER || o->head == LRP_SYNTH_BARE) {
    add(t, st, LRP_SYNTH_TABLE, h, h, 1.0, "bert.pooler.dense.weight");
    add(t, st, LRP_SYNTH_BIAS, 0, h, 1.0, "bert.pooler.dense.bias");
  }
  if (o->head == LRP_SYNTH_CLASSIFIER) {
    add(t, st, LRP_SYNTH_TABLE, 2, h, 1.0, "classifier.weight");
    add(t, st, LRP_SYNTH_BIAS, 0, 2, 1.0, "classifier.bias");
  } else if (o->head == LRP_SYNTH_ANSWERS) {
    add(t, st, LRP_SYNTH_TABLE, 2, h, 1.0, "qa_outputs.weight");
    add(t, st, LRP_SYNTH_BIAS, 0, 2, 1.0, "qa_outputs.bias");
  } else if (o->head == LRP_SYNTH_MASKED) {
    add(t, st, LRP_SYNTH_TABLE, h, h, 1.0, "%s.dense.weight", decoder);
    add(t, st, LRP_SYNTH_BIAS, 0, h, 1.0, "%s.dense.bias", decoder);
    add_bert_norm(t, st, decoder, h);
    add(t, st, LRP_SYNTH_BIAS, 0, o->vocab, 1.0, "cls.predictions.bias");
  }
}

static void add_bert(const lrp_synth_options *o, lrp_synth_tensors *t, lrp_status *st) {
  const int64_t h = o->hidden;
  add(t, st, LRP_SYNTH_TABLE, o->vocab, h, 1.0, "bert.embeddings.word_embeddings.weight");
  add(t, st, LRP_SYNTH_TABLE, o->max_position, h, 1.0,
      "bert.embeddings.position_embeddings.weight");
  add(t, st, LRP_SYNTH_TABLE, 2, h, 1.0, "bert.embeddings.token_type_embeddings.weight");
  add_bert_norm(t, st, "bert.embeddings", h);
  for (int64_t l = 0; l < o->layers; l++) add_bert_layer(o, l, t, st);
  add_bert_head(o, t, st);
}

lrp_status lrp_synth_tensors_init(const lrp_synth_options *o, lrp_synth_tensors *out) {
  lrp_status st = LRP_OK;
  *out = (lrp_synth_tensors){0};
  if (o->arch == LRP_SYNTH_BERT) {
    add_bert(o, out, &st);
  } else {
    add_llama(o, out, &st);
  }
  if (st != LRP_OK) lrp_synth_tensors_free(out);
  return st;
}

void lrp_synth_tensors_free(lrp_synth_tensors *t) {
  free(t->items);
  *t = (lrp_synth_tensors){0};
}

static json_t *rope_scaling(const lrp_synth_options *o) {
  const double factor = 8.0;
  if (o->rope_scaling == LRP_SYNTH_ROPE_LINEAR) {
    return json_pack("{s:f, s:s}", "factor", 2.0, "rope_type", "linear");
  }
  if (o->rope_scaling == LRP_SYNTH_ROPE_LLAMA3) {
    const int64_t original = o->max_position > 8 ? o->max_position / 8 : 1;
    return json_pack("{s:f, s:f, s:f, s:I, s:s}", "factor", factor, "high_freq_factor", 4.0,
                     "low_freq_factor", 1.0, "original_max_position_embeddings",
                     (json_int_t)original, "rope_type", "llama3");
  }
  return json_null();
}

static json_t *llama_config(const lrp_synth_options *o) {
  return json_pack(
      "{s:[s], s:b, s:f, s:i, s:i, s:I, s:s, s:I, s:f, s:I, s:I, s:b, s:s, s:I, s:I, s:I, s:i, "
      "s:f, s:o, s:f, s:b, s:s, s:s, s:b, s:I}",
      "architectures", "LlamaForCausalLM", "attention_bias", (int)o->attention_bias,
      "attention_dropout", 0.0, "bos_token_id", 1, "eos_token_id", 2, "head_dim",
      (json_int_t)o->head_dim, "hidden_act", "silu", "hidden_size", (json_int_t)o->hidden,
      "initializer_range", 0.02, "intermediate_size", (json_int_t)o->intermediate,
      "max_position_embeddings", (json_int_t)o->max_position, "mlp_bias", 0, "model_type", "llama",
      "num_attention_heads", (json_int_t)o->heads, "num_hidden_layers", (json_int_t)o->layers,
      "num_key_value_heads", (json_int_t)o->kv_heads, "pretraining_tp", 1, "rms_norm_eps", 1e-05,
      "rope_scaling", rope_scaling(o), "rope_theta", o->rope_theta, "tie_word_embeddings",
      (int)o->tied, "torch_dtype", lrp_dtype_name((lrp_dtype)o->dtype), "transformers_version",
      "4.46.0", "use_cache", 1, "vocab_size", (json_int_t)o->vocab);
}

static const char *bert_class(const lrp_synth_options *o) {
  static const char *const names[] = {[LRP_SYNTH_CLASSIFIER] = "BertForSequenceClassification",
                                      [LRP_SYNTH_ANSWERS] = "BertForQuestionAnswering",
                                      [LRP_SYNTH_MASKED] = "BertForMaskedLM",
                                      [LRP_SYNTH_BARE] = "BertModel"};
  return names[o->head];
}

static json_t *bert_config(const lrp_synth_options *o) {
  return json_pack(
      "{s:[s], s:f, s:n, s:s, s:f, s:I, s:{s:s, s:s}, s:f, s:I, s:{s:i, s:i}, s:f, s:I, s:s, s:I, "
      "s:I, s:i, s:s, s:s, s:s, s:s, s:i, s:b, s:I}",
      "architectures", bert_class(o), "attention_probs_dropout_prob", 0.1, "classifier_dropout",
      "hidden_act", "gelu", "hidden_dropout_prob", 0.1, "hidden_size", (json_int_t)o->hidden,
      "id2label", "0", "negative", "1", "positive", "initializer_range", 0.02, "intermediate_size",
      (json_int_t)o->intermediate, "label2id", "negative", 0, "positive", 1, "layer_norm_eps",
      1e-12, "max_position_embeddings", (json_int_t)o->max_position, "model_type", "bert",
      "num_attention_heads", (json_int_t)o->heads, "num_hidden_layers", (json_int_t)o->layers,
      "pad_token_id", 0, "position_embedding_type", "absolute", "problem_type",
      "single_label_classification", "torch_dtype", lrp_dtype_name((lrp_dtype)o->dtype),
      "transformers_version", "4.46.0", "type_vocab_size", 2, "use_cache", 1, "vocab_size",
      (json_int_t)o->vocab);
}

lrp_status lrp_synth_config_write(const lrp_synth_options *o) {
  json_t *config = o->arch == LRP_SYNTH_BERT ? bert_config(o) : llama_config(o);
  const lrp_status st = lrp_synth_json_write(o->out, "config.json", config);
  json_decref(config);
  return st;
}
