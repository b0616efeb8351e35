#include "io/model/families.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const int64_t max_size = LRP_CONFIG_MAX_SIZE;

/* Families whose weights and forward pass are those of Llama, with the defaults of Hugging Face
 * for absent keys. */
typedef struct {
  const char *architecture;
  int64_t kv_heads; /* 0: as many as attention heads */
  int64_t positions;
  int64_t window; /* sliding attention; 0: the family has none */
  bool biases;    /* attention_bias and mlp_bias mean something */
  bool qkv_bias;  /* q, k and v have biases, whatever the file says */
} family;

static const family families[] = {
    {"LlamaForCausalLM", .positions = 2048, .biases = true},
    {"MistralForCausalLM", .kv_heads = 8, .positions = 131072, .window = 4096},
    {"Qwen2ForCausalLM", .kv_heads = 32, .positions = 32768, .qkv_bias = true}};
enum { n_families = sizeof families / sizeof *families };

static const struct {
  const char *block, *name;
} linears[LRP_LLAMA_LINEARS] = {
    [LRP_Q_PROJ] = {"self_attn", "q_proj"}, [LRP_K_PROJ] = {"self_attn", "k_proj"},
    [LRP_V_PROJ] = {"self_attn", "v_proj"}, [LRP_O_PROJ] = {"self_attn", "o_proj"},
    [LRP_GATE_PROJ] = {"mlp", "gate_proj"}, [LRP_UP_PROJ] = {"mlp", "up_proj"},
    [LRP_DOWN_PROJ] = {"mlp", "down_proj"},
};

/* lrp_config_read() has looked the architecture up. */
static const family *family_of(const char *architecture) {
  int i = 0;
  while (i < n_families - 1 && strcmp(families[i].architecture, architecture) != 0) i++;
  return &families[i];
}

static lrp_status read_shape(const lrp_document *d, const family *f, lrp_llama_config *c) {
  int64_t layers = 0;
  lrp_status st = lrp_document_integer(d, "hidden_size", 1, max_size, 0, &c->hidden_size);

  if (st == LRP_OK) {
    st = lrp_document_integer(d, "intermediate_size", 1, max_size, 0, &c->intermediate_size);
  }
  if (st == LRP_OK) st = lrp_document_integer(d, "vocab_size", 1, max_size, 0, &c->vocab_size);
  if (st == LRP_OK)
    st = lrp_document_integer(d, "num_hidden_layers", 1, LRP_CONFIG_MAX_LAYERS, 0, &layers);
  if (st == LRP_OK) {
    c->num_hidden_layers = (int)layers;
    st = lrp_document_integer(d, "max_position_embeddings", 1, INT_MAX, f->positions,
                              &c->max_position_embeddings);
  }
  return st;
}

static lrp_status read_heads(const lrp_document *d, const family *f, lrp_llama_config *c) {
  /* An explicit null means "as many as attention heads" in every family. */
  const bool absent = json_object_get(d->root, "num_key_value_heads") == NULL;
  lrp_status st = lrp_document_int(d, "num_attention_heads", max_size, 0, &c->num_attention_heads);
  if (st != LRP_OK) return st;

  const int heads = c->num_attention_heads;
  const int64_t divided = c->hidden_size % heads == 0 ? c->hidden_size / heads : 0;
  st = lrp_document_int(d, "num_key_value_heads", max_size,
                        absent && f->kv_heads ? f->kv_heads : heads, &c->num_key_value_heads);
  if (st != LRP_OK) return st;
  if (heads % c->num_key_value_heads != 0) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: num_key_value_heads: %d does not divide num_attention_heads %d", d->path,
                    c->num_key_value_heads, heads);
  }
  if (divided == 0 && !lrp_document_member(d->root, "head_dim")) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: num_attention_heads: %d does not divide hidden_size %" PRId64, d->path,
                    heads, c->hidden_size);
  }
  st = lrp_document_int(d, "head_dim", max_size, divided, &c->head_dim);
  if (st != LRP_OK) return st;
  if (c->head_dim % 2 != 0 || (int64_t)heads * c->head_dim > max_size) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: head_dim: %d must be even, and head_dim x num_attention_heads %d at most "
                    "%" PRId64,
                    d->path, c->head_dim, heads, max_size);
  }
  return LRP_OK;
}

/* An object that scales rotary frequencies. A scaling changes every attention weight: what is not
 * known is refused, never ignored. */
typedef struct {
  const char *name; /* its key */
  const json_t *object;
} scaling_object;

/* The number name.key, which must be there. */
static lrp_status need_scale(const lrp_document *d, const scaling_object *s, const char *key,
                             double *out) {
  const json_t *value = lrp_document_member(s->object, key);
  char path[64];
  snprintf(path, sizeof path, "%s.%s", s->name, key);
  if (!value) return lrp_fail(LRP_ERR_DATA, "%s: key %s is missing", d->path, path);
  return lrp_document_number(d, path, value, out);
}

static lrp_status read_llama3(const lrp_document *d, const scaling_object *s,
                              lrp_rope_scaling *out) {
  lrp_status st = need_scale(d, s, "low_freq_factor", &out->low_freq_factor);
  if (st == LRP_OK) st = need_scale(d, s, "high_freq_factor", &out->high_freq_factor);
  if (st == LRP_OK) {
    st = need_scale(d, s, "original_max_position_embeddings",
                    &out->original_max_position_embeddings);
  }
  if (st == LRP_OK && out->low_freq_factor >= out->high_freq_factor) {
    st = lrp_fail(LRP_ERR_DATA, "%s: %s: low_freq_factor %g must be below high_freq_factor %g",
                  d->path, s->name, out->low_freq_factor, out->high_freq_factor);
  }
  return st;
}

/* Part of each head that is rotated: all of it in this family. */
static lrp_status check_whole_rotation(const lrp_document *d, const json_t *object) {
  static const char key[] = "partial_rotary_factor";
  const json_t *value = lrp_document_member(object, key);
  if (!value || (json_is_number(value) && json_number_value(value) == 1.0)) return LRP_OK;
  return lrp_document_bad(d, key, value, "1, the one that is supported");
}

/* Scaling of d->root[name]; without a type it is fallback. */
static lrp_status read_scaling(const lrp_document *d, const char *name, const char *fallback,
                               lrp_rope_scaling *out) {
  const scaling_object s = {name, lrp_document_member(d->root, name)};
  const json_t *type = lrp_document_member(s.object, "rope_type");
  if (!s.object) return LRP_OK;
  if (!json_is_object(s.object)) return lrp_document_bad(d, name, s.object, "an object");
  if (!type) type = lrp_document_member(s.object, "type");
  const char *text = type ? json_string_value(type) : fallback;
  if (!text) return lrp_fail(LRP_ERR_DATA, "%s: %s: the scaling has no rope_type", d->path, name);
  lrp_status st = check_whole_rotation(d, s.object);
  if (st != LRP_OK || strcmp(text, "default") == 0) return st;

  const bool llama3 = strcmp(text, "llama3") == 0;
  if (!llama3 && strcmp(text, "linear") != 0) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: %s: %.100s is not supported (supported: default, linear, llama3)", d->path,
                    name, text);
  }
  out->type = llama3 ? LRP_ROPE_LLAMA3 : LRP_ROPE_LINEAR;
  st = need_scale(d, &s, "factor", &out->factor);
  return st == LRP_OK && llama3 ? read_llama3(d, &s, out) : st;
}

static bool same_scaling(const lrp_rope_scaling *a, const lrp_rope_scaling *b) {
  return a->type == b->type && a->factor == b->factor && a->low_freq_factor == b->low_freq_factor &&
         a->high_freq_factor == b->high_freq_factor &&
         a->original_max_position_embeddings == b->original_max_position_embeddings;
}

/* rope_scaling, or rope_parameters of newer files, which hold rope_theta, too. */
static lrp_status read_rope(const lrp_document *d, lrp_llama_config *c) {
  static const char old_name[] = "rope_scaling", new_name[] = "rope_parameters";
  lrp_rope_scaling newer = {0};
  const bool both =
      lrp_document_member(d->root, old_name) && lrp_document_member(d->root, new_name);
  lrp_status st = check_whole_rotation(d, d->root);
  if (st == LRP_OK) st = read_scaling(d, old_name, NULL, &c->rope_scaling);
  if (st == LRP_OK) st = read_scaling(d, new_name, "default", &newer);
  if (st == LRP_OK && both && !same_scaling(&c->rope_scaling, &newer)) {
    st = lrp_fail(LRP_ERR_DATA, "%s: %s and %s contradict each other", d->path, old_name, new_name);
  }
  if (!lrp_document_member(d->root, old_name)) c->rope_scaling = newer;
  c->rope_theta = 10000.0;
  if (st == LRP_OK) st = lrp_document_positive(d, d->root, "rope_theta", &c->rope_theta);
  if (st == LRP_OK) {
    st = lrp_document_positive(d, lrp_document_member(d->root, new_name), "rope_theta",
                               &c->rope_theta);
  }
  return st;
}

/* Keys that a token attends to, itself included, where the family limits them. */
static lrp_status read_window(const lrp_document *d, const family *f, lrp_llama_config *c) {
  const json_t *value = json_object_get(d->root, "sliding_window");
  bool used;
  lrp_status st =
      lrp_document_bool(d, "use_sliding_window", &used); /* of Qwen2: in some layers only */
  if (st == LRP_OK && used) {
    st = lrp_document_bad(d, "use_sliding_window", json_true(), "false, the one that is supported");
  }
  if (st != LRP_OK || f->window == 0 || json_is_null(value)) return st;
  return lrp_document_integer(d, "sliding_window", 1, INT64_MAX, f->window, &c->sliding_window);
}

static lrp_status read_forward(const lrp_document *d, const family *f, lrp_config *out) {
  const json_t *act = lrp_document_member(d->root, "hidden_act");
  lrp_status st = LRP_OK;

  if (act && (!json_is_string(act) || strcmp(json_string_value(act), "silu") != 0)) {
    st = lrp_document_bad(d, "hidden_act", act, "\"silu\", the one that is supported");
  }
  out->llama.rms_norm_eps = 1e-6;
  if (st == LRP_OK)
    st = lrp_document_positive(d, d->root, "rms_norm_eps", &out->llama.rms_norm_eps);
  if (st == LRP_OK) st = read_rope(d, &out->llama);
  if (st == LRP_OK) st = read_window(d, f, &out->llama);
  if (st == LRP_OK) st = lrp_document_bool(d, "tie_word_embeddings", &out->tie_word_embeddings);
  if (st == LRP_OK && f->biases) st = lrp_document_bool(d, "attention_bias", &out->attention_bias);
  if (st == LRP_OK && f->biases) st = lrp_document_bool(d, "mlp_bias", &out->mlp_bias);
  out->qkv_bias = f->qkv_bias;
  return st;
}

static lrp_status read_llama(const lrp_document *d, lrp_config *out) {
  const family *f = family_of(out->architecture);
  lrp_status st = read_shape(d, f, &out->llama);
  if (st == LRP_OK) st = read_heads(d, f, &out->llama);
  if (st == LRP_OK) st = read_forward(d, f, out);
  return st;
}

static const char *tensor_name(int tensor) {
  return linears[tensor].name;
}

static void tensor_shape(const lrp_config *config, int tensor, int64_t *m, int64_t *n) {
  const lrp_llama_config *c = &config->llama;
  const int64_t q = (int64_t)c->num_attention_heads * c->head_dim;
  const int64_t kv = (int64_t)c->num_key_value_heads * c->head_dim;
  const int64_t out[LRP_LLAMA_LINEARS] = {
      [LRP_Q_PROJ] = q,
      [LRP_K_PROJ] = kv,
      [LRP_V_PROJ] = kv,
      [LRP_O_PROJ] = c->hidden_size,
      [LRP_GATE_PROJ] = c->intermediate_size,
      [LRP_UP_PROJ] = c->intermediate_size,
      [LRP_DOWN_PROJ] = c->hidden_size,
  };
  *m = out[tensor];
  *n = c->hidden_size;
  if (tensor == LRP_O_PROJ) *n = q;
  if (tensor == LRP_DOWN_PROJ) *n = c->intermediate_size;
}

static void tensor_path(const lrp_config *config, int layer, int tensor, char *name, size_t size) {
  (void)config;
  snprintf(name, size, "model.layers.%d.%s.%s.weight", layer, linears[tensor].block,
           linears[tensor].name);
}

static bool has_bias(const lrp_config *config, int tensor) {
  if (tensor <= LRP_V_PROJ && config->qkv_bias) return true;
  return tensor <= LRP_O_PROJ ? config->attention_bias : config->mlp_bias;
}

static int64_t head_weights(const lrp_config *config) {
  return config->llama.vocab_size * config->llama.hidden_size;
}

/* Embedding, norms, and the head unless it is tied. */
static int64_t other_parameters(const lrp_config *config) {
  const lrp_llama_config *c = &config->llama;
  const int64_t embedding = c->vocab_size * c->hidden_size;
  return embedding + (2 * (int64_t)c->num_hidden_layers + 1) * c->hidden_size +
         (config->tie_word_embeddings ? 0 : embedding);
}

/* ---- Weights --------------------------------------------------------------------------------- */

enum { layer_norms = 2 };

static const char embed_name[] = "model.embed_tokens.weight";
static const char head_name[] = "lm_head.weight";

/* Where the weights of a kind are in their order: embedding; per layer norms, linears, biases; last
 * norm; head. */
typedef struct {
  int n_biases, biased[LRP_LLAMA_LINEARS];
  int64_t per_layer, last_norm, count;
} weight_order;

static weight_order order_of(const lrp_config *c) {
  weight_order o = {0};
  for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
    if (has_bias(c, t)) o.biased[o.n_biases++] = t;
  }
  o.per_layer = layer_norms + LRP_LLAMA_LINEARS + o.n_biases;
  o.last_norm = 1 + lrp_config_layers(c) * o.per_layer;
  o.count = o.last_norm + (c->tie_word_embeddings ? 1 : 2);
  return o;
}

static int64_t weight_count(const lrp_config *c) {
  return order_of(c).count;
}

static lrp_weight_spec matrix_spec(const char *name, int64_t rows, int64_t cols) {
  lrp_weight_spec w = {.ndim = 2, .rows = rows, .cols = cols};
  snprintf(w.name, sizeof w.name, "%s", name);
  return w;
}

static lrp_weight_spec norm_spec(const lrp_config *c, int layer, const char *name) {
  lrp_weight_spec w = {.ndim = 1, .rows = 1, .cols = c->llama.hidden_size};
  if (layer < 0) {
    snprintf(w.name, sizeof w.name, "model.%s.weight", name);
  } else {
    snprintf(w.name, sizeof w.name, "model.layers.%d.%s.weight", layer, name);
  }
  return w;
}

static lrp_weight_spec linear_spec(const lrp_config *c, int layer, int tensor) {
  lrp_weight_spec w = {.ndim = 2};
  tensor_path(c, layer, tensor, w.name, sizeof w.name);
  tensor_shape(c, tensor, &w.rows, &w.cols);
  return w;
}

static lrp_weight_spec bias_spec(const lrp_config *c, int layer, int tensor) {
  static const char suffix[] = "weight";
  lrp_weight_spec w = linear_spec(c, layer, tensor);
  char *end = w.name + strlen(w.name) - (sizeof suffix - 1);
  snprintf(end, sizeof suffix, "bias");
  w.ndim = 1;
  w.cols = w.rows;
  w.rows = 1;
  return w;
}

/* A tied matrix of embedding and head may lie under either name. */
static lrp_weight_spec embedding_spec(const lrp_config *c) {
  lrp_weight_spec w = matrix_spec(embed_name, c->llama.vocab_size, c->llama.hidden_size);
  if (c->tie_word_embeddings) snprintf(w.other, sizeof w.other, "%s", head_name);
  return w;
}

static lrp_weight_spec weight_at(const lrp_config *c, int64_t i) {
  const weight_order o = order_of(c);
  const int layer = (int)((i - 1) / o.per_layer);
  const int k = (int)((i - 1) % o.per_layer);

  if (i == 0) return embedding_spec(c);
  if (i == o.last_norm) return norm_spec(c, -1, "norm");
  if (i > o.last_norm) return matrix_spec(head_name, c->llama.vocab_size, c->llama.hidden_size);
  if (k == 0) return norm_spec(c, layer, "input_layernorm");
  if (k == 1) return norm_spec(c, layer, "post_attention_layernorm");
  if (k < layer_norms + LRP_LLAMA_LINEARS) return linear_spec(c, layer, k - layer_norms);
  return bias_spec(c, layer, o.biased[k - layer_norms - LRP_LLAMA_LINEARS]);
}

const lrp_family_rules lrp_llama_rules = {.family = LRP_FAMILY_LLAMA,
                                          .tensors = LRP_LLAMA_LINEARS,
                                          .read = read_llama,
                                          .tensor_name = tensor_name,
                                          .tensor_shape = tensor_shape,
                                          .tensor_path = tensor_path,
                                          .has_bias = has_bias,
                                          .head_weights = head_weights,
                                          .other_parameters = other_parameters,
                                          .weight_count = weight_count,
                                          .weight_at = weight_at};
