#include "io/model/families.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const int64_t max_size = LRP_CONFIG_MAX_SIZE;

static const char *const names[LRP_BERT_LINEARS] = {
    [LRP_BERT_QUERY] = "query",
    [LRP_BERT_KEY] = "key",
    [LRP_BERT_VALUE] = "value",
    [LRP_BERT_ATTENTION_OUTPUT] = "attention.output",
    [LRP_BERT_INTERMEDIATE] = "intermediate",
    [LRP_BERT_OUTPUT] = "output",
};

static const char *const paths[LRP_BERT_LINEARS] = {
    [LRP_BERT_QUERY] = "attention.self.query",
    [LRP_BERT_KEY] = "attention.self.key",
    [LRP_BERT_VALUE] = "attention.self.value",
    [LRP_BERT_ATTENTION_OUTPUT] = "attention.output.dense",
    [LRP_BERT_INTERMEDIATE] = "intermediate.dense",
    [LRP_BERT_OUTPUT] = "output.dense",
};

/* ---- Reading --------------------------------------------------------------------------------- */

static lrp_bert_head head_of(const char *architecture) {
  if (strcmp(architecture, "BertForSequenceClassification") == 0) return LRP_BERT_CLASSIFIER;
  if (strcmp(architecture, "BertForQuestionAnswering") == 0) return LRP_BERT_SPANS;
  return strcmp(architecture, "BertForMaskedLM") == 0 ? LRP_BERT_MASKED : LRP_BERT_BARE;
}

static lrp_status read_shape(const lrp_document *d, lrp_bert_config *c) {
  lrp_status st = lrp_document_integer(d, "hidden_size", 1, max_size, 0, &c->hidden_size);

  if (st == LRP_OK) {
    st = lrp_document_integer(d, "intermediate_size", 1, max_size, 0, &c->intermediate_size);
  }
  if (st == LRP_OK) st = lrp_document_integer(d, "vocab_size", 1, max_size, 0, &c->vocab_size);
  if (st == LRP_OK) {
    st = lrp_document_integer(d, "type_vocab_size", 1, max_size, 2, &c->type_vocab_size);
  }
  if (st == LRP_OK) {
    st = lrp_document_integer(d, "max_position_embeddings", 1, max_size, 512,
                              &c->max_position_embeddings);
  }
  if (st == LRP_OK) {
    st = lrp_document_int(d, "num_hidden_layers", LRP_CONFIG_MAX_LAYERS, 0, &c->num_hidden_layers);
  }
  if (st == LRP_OK) {
    st = lrp_document_int(d, "num_attention_heads", max_size, 0, &c->num_attention_heads);
  }
  if (st != LRP_OK || c->hidden_size % c->num_attention_heads == 0) return st;
  return lrp_fail(LRP_ERR_DATA, "%s: num_attention_heads: %d does not divide hidden_size %" PRId64,
                  d->path, c->num_attention_heads, c->hidden_size);
}

static lrp_status read_activation(const lrp_document *d, lrp_activation *out) {
  static const char *const known[] = {
      [LRP_GELU] = "gelu", [LRP_GELU_TANH] = "gelu_new", [LRP_RELU] = "relu"};
  const json_t *value = lrp_document_member(d->root, "hidden_act");
  const char *text = json_string_value(value);

  *out = LRP_GELU;
  if (!value) return LRP_OK;
  for (int i = LRP_GELU; text && i <= LRP_RELU; i++) {
    if (strcmp(text, known[i]) != 0) continue;
    *out = (lrp_activation)i;
    return LRP_OK;
  }
  return lrp_document_bad(d, "hidden_act", value, "one of gelu, gelu_new, relu");
}

/* What would change the forward pass must be absent, or say what is done anyway. */
static lrp_status check_encoder(const lrp_document *d) {
  static const char *const off[] = {"is_decoder", "add_cross_attention"};
  const json_t *position = lrp_document_member(d->root, "position_embedding_type");
  const char *text = json_string_value(position);

  if (position && (!text || strcmp(text, "absolute") != 0)) {
    return lrp_document_bad(d, "position_embedding_type", position,
                            "\"absolute\", the one that is supported");
  }
  for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
    bool on;
    const lrp_status st = lrp_document_bool(d, off[i], &on);
    if (st != LRP_OK) return st;
    if (on) return lrp_document_bad(d, off[i], json_true(), "false, the one that is supported");
  }
  return LRP_OK;
}

/* id2label = {"0": name, "1": name, ...} counts the labels and names them. */
static lrp_status read_label_names(const lrp_document *d, const json_t *map, lrp_config *out) {
  const int64_t count = (int64_t)json_object_size(map);

  if (!json_is_object(map) || count == 0 || count > max_size) {
    return lrp_document_bad(d, "id2label", map, "an object of label names");
  }
  for (int64_t i = 0; i < count; i++) {
    char key[24];
    snprintf(key, sizeof key, "%" PRId64, i);
    const json_t *name = json_object_get(map, key);
    if (!name) {
      return lrp_fail(LRP_ERR_DATA, "%s: id2label: %" PRId64 " labels, but none called \"%s\"",
                      d->path, count, key);
    }
    if (i >= LRP_MAX_LABELS || !json_is_string(name)) continue;
    snprintf(out->labels[i], sizeof out->labels[i], "%s", json_string_value(name));
  }
  out->bert.num_labels = count;
  return LRP_OK;
}

/* As in Hugging Face: id2label decides, then num_labels, else there are two. */
static lrp_status read_labels(const lrp_document *d, lrp_config *out) {
  const json_t *map = lrp_document_member(d->root, "id2label");
  lrp_bert_config *c = &out->bert;
  lrp_status st = LRP_OK;

  if (c->head != LRP_BERT_CLASSIFIER && c->head != LRP_BERT_SPANS) return LRP_OK;
  if (map) {
    st = read_label_names(d, map, out);
  } else {
    st = lrp_document_integer(d, "num_labels", 1, max_size, 2, &c->num_labels);
  }
  if (st != LRP_OK || c->head != LRP_BERT_SPANS || c->num_labels == 2) return st;
  return lrp_fail(LRP_ERR_DATA,
                  "%s: num_labels: %s has 2 outputs (start and end of an answer), got %" PRId64,
                  d->path, out->architecture, c->num_labels);
}

static lrp_status read_bert(const lrp_document *d, lrp_config *out) {
  lrp_bert_config *c = &out->bert;
  lrp_status st = read_shape(d, c);

  c->head = head_of(out->architecture);
  out->bare_names = c->head == LRP_BERT_BARE;
  c->layer_norm_eps = 1e-12;
  if (st == LRP_OK) {
    st = lrp_document_positive(d, d->root, "layer_norm_eps", &c->layer_norm_eps);
  }
  if (st == LRP_OK) st = read_activation(d, &c->hidden_act);
  if (st == LRP_OK) st = check_encoder(d);
  if (st == LRP_OK) st = read_labels(d, out);
  out->tie_word_embeddings = true;
  if (st == LRP_OK && lrp_document_member(d->root, "tie_word_embeddings")) {
    st = lrp_document_bool(d, "tie_word_embeddings", &out->tie_word_embeddings);
  }
  return st;
}

/* ---- Tensors and counts ---------------------------------------------------------------------- */

static const char *tensor_name(int tensor) {
  return names[tensor];
}

static void tensor_shape(const lrp_config *config, int tensor, int64_t *m, int64_t *n) {
  const lrp_bert_config *c = &config->bert;
  *m = tensor == LRP_BERT_INTERMEDIATE ? c->intermediate_size : c->hidden_size;
  *n = tensor == LRP_BERT_OUTPUT ? c->intermediate_size : c->hidden_size;
}

static const char *prefix_of(const lrp_config *config) {
  return config->bare_names ? "" : "bert.";
}

static void tensor_path(const lrp_config *config, int layer, int tensor, char *name, size_t size) {
  snprintf(name, size, "%sencoder.layer.%d.%s.weight", prefix_of(config), layer, paths[tensor]);
}

static bool has_bias(const lrp_config *config, int tensor) {
  (void)config;
  (void)tensor;
  return true;
}

static int64_t head_weights(const lrp_config *config) {
  const lrp_bert_config *c = &config->bert;
  const int64_t square = c->hidden_size * c->hidden_size;
  switch (c->head) {
    case LRP_BERT_BARE:
      return square; /* the pooler */
    case LRP_BERT_CLASSIFIER:
      return square + c->num_labels * c->hidden_size;
    case LRP_BERT_SPANS:
      return c->num_labels * c->hidden_size;
    case LRP_BERT_MASKED:
      return square + c->vocab_size * c->hidden_size;
  }
  return 0;
}

/* Biases and the norm of the head. */
static int64_t head_vectors(const lrp_bert_config *c) {
  switch (c->head) {
    case LRP_BERT_BARE:
      return c->hidden_size;
    case LRP_BERT_CLASSIFIER:
      return c->hidden_size + c->num_labels;
    case LRP_BERT_SPANS:
      return c->num_labels;
    case LRP_BERT_MASKED:
      return 3 * c->hidden_size + c->vocab_size;
  }
  return 0;
}

static int64_t other_parameters(const lrp_config *config) {
  const lrp_bert_config *c = &config->bert;
  const int64_t norms = 2 * (1 + 2 * (int64_t)c->num_hidden_layers);
  const int64_t rows = c->vocab_size + c->max_position_embeddings + c->type_vocab_size + norms;
  const bool shared = c->head == LRP_BERT_MASKED && config->tie_word_embeddings;
  return rows * c->hidden_size + head_weights(config) + head_vectors(c) -
         (shared ? c->vocab_size * c->hidden_size : 0);
}

/* ---- Weights --------------------------------------------------------------------------------- */

typedef enum { ONE, HIDDEN, WIDE, VOCABULARY, POSITIONS, TYPES, LABELS } size_name;

/* A weight by its name in today's files. Those of a LayerNorm were called gamma and beta once. */
typedef struct {
  const char *name;
  size_name rows, cols; /* ONE row: a vector */
} entry;

static const entry embeddings[] = {
    {"embeddings.word_embeddings.weight", VOCABULARY, HIDDEN},
    {"embeddings.position_embeddings.weight", POSITIONS, HIDDEN},
    {"embeddings.token_type_embeddings.weight", TYPES, HIDDEN},
    {"embeddings.LayerNorm.weight", ONE, HIDDEN},
    {"embeddings.LayerNorm.bias", ONE, HIDDEN},
};

static const entry layer_vectors[] = {
    {"attention.self.query.bias", ONE, HIDDEN},
    {"attention.self.key.bias", ONE, HIDDEN},
    {"attention.self.value.bias", ONE, HIDDEN},
    {"attention.output.dense.bias", ONE, HIDDEN},
    {"intermediate.dense.bias", ONE, WIDE},
    {"output.dense.bias", ONE, HIDDEN},
    {"attention.output.LayerNorm.weight", ONE, HIDDEN},
    {"attention.output.LayerNorm.bias", ONE, HIDDEN},
    {"output.LayerNorm.weight", ONE, HIDDEN},
    {"output.LayerNorm.bias", ONE, HIDDEN},
};

static const entry classifier[] = {
    {"pooler.dense.weight", HIDDEN, HIDDEN}, /* the prefix is in front of these two only */
    {"pooler.dense.bias", ONE, HIDDEN},
    {"classifier.weight", LABELS, HIDDEN},
    {"classifier.bias", ONE, LABELS},
};

static const entry spans[] = {
    {"qa_outputs.weight", LABELS, HIDDEN},
    {"qa_outputs.bias", ONE, LABELS},
};

static const entry masked[] = {
    {"cls.predictions.transform.dense.weight", HIDDEN, HIDDEN},
    {"cls.predictions.transform.dense.bias", ONE, HIDDEN},
    {"cls.predictions.transform.LayerNorm.weight", ONE, HIDDEN},
    {"cls.predictions.transform.LayerNorm.bias", ONE, HIDDEN},
    {"cls.predictions.bias", ONE, VOCABULARY},
    {"cls.predictions.decoder.weight", VOCABULARY, HIDDEN}, /* unless it is tied */
};

#define COUNT(array) (int64_t)(sizeof array / sizeof *array)

enum { per_layer = LRP_BERT_LINEARS + sizeof layer_vectors / sizeof *layer_vectors };

static const entry *head_entries(const lrp_config *config, int64_t *count) {
  *count = 0;
  switch (config->bert.head) {
    case LRP_BERT_BARE:
      return NULL; /* its pooler is not needed */
    case LRP_BERT_CLASSIFIER:
      *count = COUNT(classifier);
      return classifier;
    case LRP_BERT_SPANS:
      *count = COUNT(spans);
      return spans;
    case LRP_BERT_MASKED:
      *count = COUNT(masked) - (config->tie_word_embeddings ? 1 : 0);
  }
  return masked;
}

static int64_t size_of(const lrp_bert_config *c, size_name size) {
  switch (size) {
    case ONE:
      return 1;
    case HIDDEN:
      return c->hidden_size;
    case WIDE:
      return c->intermediate_size;
    case VOCABULARY:
      return c->vocab_size;
    case POSITIONS:
      return c->max_position_embeddings;
    case TYPES:
      return c->type_vocab_size;
    case LABELS:
      return c->num_labels;
  }
  return 0;
}

/* The name that a weight may have in other files. */
static void name_otherwise(lrp_weight_spec *w) {
  static const struct {
    const char *end, *other;
  } pairs[] = {{"LayerNorm.weight", "LayerNorm.gamma"},
               {"LayerNorm.bias", "LayerNorm.beta"},
               {"cls.predictions.bias", "cls.predictions.decoder.bias"}};
  const size_t length = strlen(w->name);
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    const size_t n = strlen(pairs[i].end);
    if (length < n || strcmp(w->name + length - n, pairs[i].end) != 0) continue;
    snprintf(w->other, sizeof w->other, "%.*s%s", (int)(length - n), w->name, pairs[i].other);
  }
}

static lrp_weight_spec spec_of(const lrp_config *c, const char *prefix, const entry *e) {
  lrp_weight_spec w = {.ndim = e->rows == ONE ? 1 : 2,
                       .rows = size_of(&c->bert, e->rows),
                       .cols = size_of(&c->bert, e->cols)};
  snprintf(w.name, sizeof w.name, "%s%s", prefix, e->name);
  name_otherwise(&w);
  return w;
}

/* A table that is tied to the decoder may lie under either name. */
static lrp_weight_spec table_spec(const lrp_config *c) {
  lrp_weight_spec w = spec_of(c, prefix_of(c), &embeddings[0]);
  if (c->bert.head == LRP_BERT_MASKED && c->tie_word_embeddings) {
    snprintf(w.other, sizeof w.other, "%s", masked[COUNT(masked) - 1].name);
  }
  return w;
}

static lrp_weight_spec layer_spec(const lrp_config *c, int layer, int64_t k) {
  char prefix[48];
  if (k < LRP_BERT_LINEARS) {
    lrp_weight_spec w = {.ndim = 2};
    tensor_path(c, layer, (int)k, w.name, sizeof w.name);
    tensor_shape(c, (int)k, &w.rows, &w.cols);
    return w;
  }
  snprintf(prefix, sizeof prefix, "%sencoder.layer.%d.", prefix_of(c), layer);
  return spec_of(c, prefix, &layer_vectors[k - LRP_BERT_LINEARS]);
}

static int64_t weight_count(const lrp_config *c) {
  int64_t head;
  (void)head_entries(c, &head);
  return COUNT(embeddings) + c->bert.num_hidden_layers * (int64_t)per_layer + head;
}

static lrp_weight_spec weight_at(const lrp_config *c, int64_t i) {
  int64_t count;
  const entry *head = head_entries(c, &count);
  const int64_t layer = (i - COUNT(embeddings)) / per_layer;
  const int64_t k = i - COUNT(embeddings) - c->bert.num_hidden_layers * (int64_t)per_layer;

  if (i == 0) return table_spec(c);
  if (i < COUNT(embeddings)) return spec_of(c, prefix_of(c), &embeddings[i]);
  if (k < 0) return layer_spec(c, (int)layer, (i - COUNT(embeddings)) % per_layer);
  return spec_of(c, head == classifier && k < 2 ? prefix_of(c) : "", &head[k]);
}

const lrp_family_rules lrp_bert_rules = {.family = LRP_FAMILY_BERT,
                                         .tensors = LRP_BERT_LINEARS,
                                         .read = read_bert,
                                         .tensor_name = tensor_name,
                                         .tensor_shape = tensor_shape,
                                         .tensor_path = tensor_path,
                                         .has_bias = has_bias,
                                         .head_weights = head_weights,
                                         .other_parameters = other_parameters,
                                         .weight_count = weight_count,
                                         .weight_at = weight_at};
