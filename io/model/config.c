#include "io/model/config.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "io/model/families.h"

static const size_t max_file = 4 << 20;
static const int64_t max_parameters = (int64_t)1 << 60; /* so that no count overflows */

static const struct {
  const char *name;
  const lrp_family_rules *rules;
} architectures[] = {
    {"LlamaForCausalLM", &lrp_llama_rules},
    {"MistralForCausalLM", &lrp_llama_rules},
    {"Qwen2ForCausalLM", &lrp_llama_rules},
    {"BertModel", &lrp_bert_rules},
    {"BertForSequenceClassification", &lrp_bert_rules},
    {"BertForQuestionAnswering", &lrp_bert_rules},
    {"BertForMaskedLM", &lrp_bert_rules},
};
enum { n_architectures = sizeof architectures / sizeof *architectures };

const lrp_family_rules *lrp_family_of(const lrp_config *c) {
  return c->family == LRP_FAMILY_BERT ? &lrp_bert_rules : &lrp_llama_rules;
}

static lrp_status read_architecture(const lrp_document *d, lrp_config *out) {
  const json_t *list = json_object_get(d->root, "architectures");
  const char *name = json_string_value(json_array_get(list, 0));
  char supported[256] = "";

  for (int i = 0; i < n_architectures; i++) {
    const size_t n = strlen(supported);
    snprintf(supported + n, sizeof supported - n, "%s%s", i ? ", " : "", architectures[i].name);
    if (!name || strcmp(name, architectures[i].name) != 0) continue;
    snprintf(out->architecture, sizeof out->architecture, "%s", name);
    out->family = architectures[i].rules->family;
    return LRP_OK;
  }
  if (!name) {
    return lrp_fail(LRP_ERR_DATA, "%s: architectures[0]: no name of a class (supported: %s)",
                    d->path, supported);
  }
  return lrp_fail(LRP_ERR_DATA, "%s: architectures[0]: %.100s is not supported (supported: %s)",
                  d->path, name, supported);
}

/* An id, or a list of which the first counts; -1 if there is none. */
static lrp_status read_token(const lrp_document *d, const char *key, int64_t vocab_size,
                             int64_t *out) {
  const json_t *value = lrp_document_member(d->root, key);
  const json_t *first = json_is_array(value) ? json_array_get(value, 0) : value;

  *out = -1;
  if (!first) return LRP_OK;
  *out = json_integer_value(first);
  if (json_is_integer(first) && *out >= -1 && *out < vocab_size) return LRP_OK;
  return lrp_document_bad(d, key, value, "a token id below vocab_size, or a list of them");
}

/* Weights of the linear maps of a layer. */
static int64_t layer_weights(const lrp_config *c) {
  int64_t m, n, count = 0;
  for (int t = 0; t < lrp_config_layer_tensors(c); t++) {
    lrp_config_tensor_shape(c, t, &m, &n);
    count += m * n; /* each factor at most 2^24 */
  }
  return count;
}

static int64_t layer_biases(const lrp_config *c) {
  int64_t m, n, count = 0;
  for (int t = 0; t < lrp_config_layer_tensors(c); t++) {
    if (!lrp_config_has_bias(c, t)) continue;
    lrp_config_tensor_shape(c, t, &m, &n);
    count += m;
  }
  return count;
}

static lrp_status check_parameters(const lrp_document *d, const lrp_config *c) {
  if (layer_weights(c) <= max_parameters / lrp_config_layers(c)) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA,
                  "%s: num_hidden_layers: %d layers of %" PRId64 " parameters are impossible",
                  d->path, lrp_config_layers(c), layer_weights(c));
}

static lrp_status read_document(const lrp_document *d, lrp_config *out) {
  lrp_status st = LRP_OK;

  if (!json_is_object(d->root)) st = lrp_fail(LRP_ERR_DATA, "%s: not a JSON object", d->path);
  if (st == LRP_OK) st = read_architecture(d, out);
  if (st == LRP_OK) st = lrp_family_of(out)->read(d, out);
  if (st != LRP_OK) return st;
  const int64_t vocab_size = lrp_config_vocab_size(out);
  st = read_token(d, "bos_token_id", vocab_size, &out->bos_token_id);
  if (st == LRP_OK) st = read_token(d, "eos_token_id", vocab_size, &out->eos_token_id);
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
  lrp_document d = {NULL, NULL};
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
  return lrp_family_of(config)->tensors;
}

const char *lrp_config_tensor_name(const lrp_config *config, int tensor) {
  return lrp_family_of(config)->tensor_name(tensor);
}

void lrp_config_tensor_shape(const lrp_config *config, int tensor, int64_t *m, int64_t *n) {
  lrp_family_of(config)->tensor_shape(config, tensor, m, n);
}

void lrp_config_tensor_path(const lrp_config *config, int layer, int tensor, char *name,
                            size_t size) {
  lrp_family_of(config)->tensor_path(config, layer, tensor, name, size);
}

bool lrp_config_has_bias(const lrp_config *config, int tensor) {
  return lrp_family_of(config)->has_bias(config, tensor);
}

int lrp_config_layers(const lrp_config *config) {
  return config->family == LRP_FAMILY_BERT ? config->bert.num_hidden_layers
                                           : config->llama.num_hidden_layers;
}

int64_t lrp_config_vocab_size(const lrp_config *config) {
  return config->family == LRP_FAMILY_BERT ? config->bert.vocab_size : config->llama.vocab_size;
}

int64_t lrp_config_positions(const lrp_config *config) {
  return config->family == LRP_FAMILY_BERT ? config->bert.max_position_embeddings
                                           : config->llama.max_position_embeddings;
}

int64_t lrp_config_parameters(const lrp_config *config) {
  const int64_t layer = layer_weights(config) + layer_biases(config);
  return lrp_config_layers(config) * layer + lrp_family_of(config)->other_parameters(config);
}

int64_t lrp_config_linear_parameters(const lrp_config *config) {
  return lrp_config_layers(config) * layer_weights(config) +
         lrp_family_of(config)->head_weights(config);
}
