#include "io/model/config.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"

static const size_t max_file = 4 << 20;
static const int64_t max_size = 1 << 24; /* hidden_size and the like */
static const int64_t max_layers = 65536;
static const int64_t max_parameters = (int64_t)1 << 60; /* so that no count overflows */

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

/* The file while it is read. */
typedef struct {
  const char *path;
  json_t *root;
} document;

static lrp_status bad_value(const document *d, const char *key, const json_t *value,
                            const char *expected) {
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  const lrp_status st = lrp_fail(LRP_ERR_DATA, "%s: %s: expected %s, got %.100s", d->path, key,
                                 expected, text ? text : "?");
  free(text);
  return st;
}

/* null means absent, as in Hugging Face. */
static const json_t *member(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_null(value) ? NULL : value;
}

/* fallback < min: the key must be there. */
static lrp_status read_integer(const document *d, const char *key, int64_t min, int64_t max,
                               int64_t fallback, int64_t *out) {
  const json_t *value = member(d->root, key);
  char expected[80];

  *out = fallback;
  if (!value && fallback >= min) return LRP_OK;
  if (!value) return lrp_fail(LRP_ERR_DATA, "%s: key %s is missing", d->path, key);
  *out = json_integer_value(value);
  if (json_is_integer(value) && *out >= min && *out <= max) return LRP_OK;
  snprintf(expected, sizeof expected, "an integer in %" PRId64 " .. %" PRId64, min, max);
  return bad_value(d, key, value, expected);
}

static lrp_status read_int(const document *d, const char *key, int64_t max, int64_t fallback,
                           int *out) {
  int64_t value;
  const lrp_status st = read_integer(d, key, 1, max, fallback, &value);
  if (st == LRP_OK) *out = (int)value;
  return st;
}

static lrp_status positive(const document *d, const char *name, const json_t *value, double *out) {
  *out = json_number_value(value);
  if (json_is_number(value) && isfinite(*out) && *out > 0.0) return LRP_OK;
  return bad_value(d, name, value, "a number > 0");
}

/* *out is the default. */
static lrp_status read_positive(const document *d, const json_t *object, const char *key,
                                double *out) {
  const json_t *value = member(object, key);
  return value ? positive(d, key, value, out) : LRP_OK;
}

static lrp_status read_bool(const document *d, const char *key, bool *out) {
  const json_t *value = member(d->root, key);
  *out = json_is_true(value);
  if (!value || json_is_boolean(value)) return LRP_OK;
  return bad_value(d, key, value, "true or false");
}

static lrp_status read_architecture(const document *d, lrp_config *out, const family **f) {
  const json_t *list = json_object_get(d->root, "architectures");
  const char *name = json_string_value(json_array_get(list, 0));
  char supported[128] = "";

  for (int i = 0; i < n_families; i++) {
    const size_t n = strlen(supported);
    snprintf(supported + n, sizeof supported - n, "%s%s", i ? ", " : "", families[i].architecture);
    if (!name || strcmp(name, families[i].architecture) != 0) continue;
    snprintf(out->architecture, sizeof out->architecture, "%s", name);
    *f = &families[i];
    return LRP_OK;
  }
  if (!name) {
    return lrp_fail(LRP_ERR_DATA, "%s: architectures[0]: no name of a class (supported: %s)",
                    d->path, supported);
  }
  return lrp_fail(LRP_ERR_DATA, "%s: architectures[0]: %.100s is not supported (supported: %s)",
                  d->path, name, supported);
}

static lrp_status read_shape(const document *d, const family *f, lrp_llama_config *c) {
  int64_t layers = 0;
  lrp_status st = read_integer(d, "hidden_size", 1, max_size, 0, &c->hidden_size);

  if (st == LRP_OK) {
    st = read_integer(d, "intermediate_size", 1, max_size, 0, &c->intermediate_size);
  }
  if (st == LRP_OK) st = read_integer(d, "vocab_size", 1, max_size, 0, &c->vocab_size);
  if (st == LRP_OK) st = read_integer(d, "num_hidden_layers", 1, max_layers, 0, &layers);
  if (st == LRP_OK) {
    c->num_hidden_layers = (int)layers;
    st = read_integer(d, "max_position_embeddings", 1, INT_MAX, f->positions,
                      &c->max_position_embeddings);
  }
  return st;
}

static lrp_status read_heads(const document *d, const family *f, lrp_llama_config *c) {
  /* An explicit null means "as many as attention heads" in every family. */
  const bool absent = json_object_get(d->root, "num_key_value_heads") == NULL;
  lrp_status st = read_int(d, "num_attention_heads", max_size, 0, &c->num_attention_heads);
  if (st != LRP_OK) return st;

  const int heads = c->num_attention_heads;
  const int64_t divided = c->hidden_size % heads == 0 ? c->hidden_size / heads : 0;
  st = read_int(d, "num_key_value_heads", max_size, absent && f->kv_heads ? f->kv_heads : heads,
                &c->num_key_value_heads);
  if (st != LRP_OK) return st;
  if (heads % c->num_key_value_heads != 0) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: num_key_value_heads: %d does not divide num_attention_heads %d", d->path,
                    c->num_key_value_heads, heads);
  }
  if (divided == 0 && !member(d->root, "head_dim")) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: num_attention_heads: %d does not divide hidden_size %" PRId64, d->path,
                    heads, c->hidden_size);
  }
  st = read_int(d, "head_dim", max_size, divided, &c->head_dim);
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
static lrp_status need_scale(const document *d, const scaling_object *s, const char *key,
                             double *out) {
  const json_t *value = member(s->object, key);
  char path[64];
  snprintf(path, sizeof path, "%s.%s", s->name, key);
  if (!value) return lrp_fail(LRP_ERR_DATA, "%s: key %s is missing", d->path, path);
  return positive(d, path, value, out);
}

static lrp_status read_llama3(const document *d, const scaling_object *s, lrp_rope_scaling *out) {
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
static lrp_status check_whole_rotation(const document *d, const json_t *object) {
  static const char key[] = "partial_rotary_factor";
  const json_t *value = member(object, key);
  if (!value || (json_is_number(value) && json_number_value(value) == 1.0)) return LRP_OK;
  return bad_value(d, key, value, "1, the one that is supported");
}

/* Scaling of d->root[name]; without a type it is fallback. */
static lrp_status read_scaling(const document *d, const char *name, const char *fallback,
                               lrp_rope_scaling *out) {
  const scaling_object s = {name, member(d->root, name)};
  const json_t *type = member(s.object, "rope_type");
  if (!s.object) return LRP_OK;
  if (!json_is_object(s.object)) return bad_value(d, name, s.object, "an object");
  if (!type) type = member(s.object, "type");
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
static lrp_status read_rope(const document *d, lrp_llama_config *c) {
  static const char old_name[] = "rope_scaling", new_name[] = "rope_parameters";
  lrp_rope_scaling newer = {0};
  const bool both = member(d->root, old_name) && member(d->root, new_name);
  lrp_status st = check_whole_rotation(d, d->root);
  if (st == LRP_OK) st = read_scaling(d, old_name, NULL, &c->rope_scaling);
  if (st == LRP_OK) st = read_scaling(d, new_name, "default", &newer);
  if (st == LRP_OK && both && !same_scaling(&c->rope_scaling, &newer)) {
    st = lrp_fail(LRP_ERR_DATA, "%s: %s and %s contradict each other", d->path, old_name, new_name);
  }
  if (!member(d->root, old_name)) c->rope_scaling = newer;
  c->rope_theta = 10000.0;
  if (st == LRP_OK) st = read_positive(d, d->root, "rope_theta", &c->rope_theta);
  if (st == LRP_OK) {
    st = read_positive(d, member(d->root, new_name), "rope_theta", &c->rope_theta);
  }
  return st;
}

/* Keys that a token attends to, itself included, where the family limits them. */
static lrp_status read_window(const document *d, const family *f, lrp_llama_config *c) {
  const json_t *value = json_object_get(d->root, "sliding_window");
  bool used;
  lrp_status st = read_bool(d, "use_sliding_window", &used); /* of Qwen2: in some layers only */
  if (st == LRP_OK && used) {
    st = bad_value(d, "use_sliding_window", json_true(), "false, the one that is supported");
  }
  if (st != LRP_OK || f->window == 0 || json_is_null(value)) return st;
  return read_integer(d, "sliding_window", 1, INT64_MAX, f->window, &c->sliding_window);
}

static lrp_status read_forward(const document *d, const family *f, lrp_config *out) {
  const json_t *act = member(d->root, "hidden_act");
  lrp_status st = LRP_OK;

  if (act && (!json_is_string(act) || strcmp(json_string_value(act), "silu") != 0)) {
    st = bad_value(d, "hidden_act", act, "\"silu\", the one that is supported");
  }
  out->llama.rms_norm_eps = 1e-6;
  if (st == LRP_OK) st = read_positive(d, d->root, "rms_norm_eps", &out->llama.rms_norm_eps);
  if (st == LRP_OK) st = read_rope(d, &out->llama);
  if (st == LRP_OK) st = read_window(d, f, &out->llama);
  if (st == LRP_OK) st = read_bool(d, "tie_word_embeddings", &out->tie_word_embeddings);
  if (st == LRP_OK && f->biases) st = read_bool(d, "attention_bias", &out->attention_bias);
  if (st == LRP_OK && f->biases) st = read_bool(d, "mlp_bias", &out->mlp_bias);
  out->qkv_bias = f->qkv_bias;
  return st;
}

/* An id, or a list of which the first counts; -1 if there is none. */
static lrp_status read_token(const document *d, const char *key, int64_t vocab_size, int64_t *out) {
  const json_t *value = member(d->root, key);
  const json_t *first = json_is_array(value) ? json_array_get(value, 0) : value;

  *out = -1;
  if (!first) return LRP_OK;
  *out = json_integer_value(first);
  if (json_is_integer(first) && *out >= -1 && *out < vocab_size) return LRP_OK;
  return bad_value(d, key, value, "a token id below vocab_size, or a list of them");
}

static int64_t layer_biases(const lrp_config *c) {
  int64_t m, n, count = 0;
  for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
    if (!lrp_config_has_bias(c, t)) continue;
    lrp_config_tensor_shape(c, t, &m, &n);
    count += m;
  }
  return count;
}

static int64_t layer_weights(const lrp_config *c) {
  int64_t m, n, count = 0;
  for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
    lrp_config_tensor_shape(c, t, &m, &n);
    count += m * n; /* each factor at most 2^24 */
  }
  return count;
}

static lrp_status check_parameters(const document *d, const lrp_config *c) {
  if (layer_weights(c) <= max_parameters / c->llama.num_hidden_layers) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA,
                  "%s: num_hidden_layers: %d layers of %" PRId64 " parameters are impossible",
                  d->path, c->llama.num_hidden_layers, layer_weights(c));
}

static lrp_status read_document(const document *d, lrp_config *out) {
  const family *f = NULL;
  lrp_llama_config *c = &out->llama;
  lrp_status st = LRP_OK;

  if (!json_is_object(d->root)) st = lrp_fail(LRP_ERR_DATA, "%s: not a JSON object", d->path);
  if (st == LRP_OK) st = read_architecture(d, out, &f);
  if (st == LRP_OK) st = read_shape(d, f, c);
  if (st == LRP_OK) st = read_heads(d, f, c);
  if (st == LRP_OK) st = read_forward(d, f, out);
  if (st == LRP_OK) st = read_token(d, "bos_token_id", c->vocab_size, &out->bos_token_id);
  if (st == LRP_OK) st = read_token(d, "eos_token_id", c->vocab_size, &out->eos_token_id);
  if (st == LRP_OK) st = check_parameters(d, out);
  return st;
}

static lrp_status parse(const char *path, json_t **root) {
  json_error_t error;
  char *data = NULL;
  size_t size = 0;
  lrp_status st = lrp_file_read(path, max_file, &data, &size);
  if (st != LRP_OK) return st;

  *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
  free(data);
  if (*root) return LRP_OK;
  return lrp_json_checked(
      lrp_fail(LRP_ERR_DATA, "%s:%d: not valid JSON: %s", path, error.line, error.text));
}

lrp_status lrp_config_read(const char *dir, lrp_config *out) {
  struct stat s;
  document d = {NULL, NULL};
  char *path;
  lrp_status st;

  memset(out, 0, sizeof *out);
  if (stat(dir, &s) != 0) return lrp_fail_errno(dir, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  if (!S_ISDIR(s.st_mode)) {
    return lrp_fail(LRP_ERR_ABSENT, "%s: not a directory; name the folder of config.json", dir);
  }
  path = lrp_path_join(dir, "config.json");
  if (!path) return LRP_ERR_MEM;
  d.path = path;
  st = parse(path, &d.root);
  if (st == LRP_OK) st = read_document(&d, out);
  json_decref(d.root);
  free(path);
  return st;
}

int lrp_config_layer_tensors(const lrp_config *config) {
  (void)config;
  return LRP_LLAMA_LINEARS;
}

const char *lrp_config_tensor_name(const lrp_config *config, int tensor) {
  (void)config;
  return linears[tensor].name;
}

void lrp_config_tensor_shape(const lrp_config *config, int tensor, int64_t *m, int64_t *n) {
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

void lrp_config_tensor_path(const lrp_config *config, int layer, int tensor, char *name,
                            size_t size) {
  (void)config;
  snprintf(name, size, "model.layers.%d.%s.%s.weight", layer, linears[tensor].block,
           linears[tensor].name);
}

bool lrp_config_has_bias(const lrp_config *config, int tensor) {
  if (tensor <= LRP_V_PROJ && config->qkv_bias) return true;
  return tensor <= LRP_O_PROJ ? config->attention_bias : config->mlp_bias;
}

int lrp_config_layers(const lrp_config *config) {
  return config->llama.num_hidden_layers;
}

int64_t lrp_config_parameters(const lrp_config *config) {
  const lrp_llama_config *c = &config->llama;
  const int64_t embedding = c->vocab_size * c->hidden_size;
  const int64_t layer = layer_weights(config) + layer_biases(config) + 2 * c->hidden_size;
  return embedding + c->num_hidden_layers * layer + c->hidden_size +
         (config->tie_word_embeddings ? 0 : embedding);
}

int64_t lrp_config_linear_parameters(const lrp_config *config) {
  const lrp_llama_config *c = &config->llama;
  return c->num_hidden_layers * layer_weights(config) + c->vocab_size * c->hidden_size;
}
