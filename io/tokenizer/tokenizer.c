#include "io/tokenizer/tokenizer.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/tokenizer/sentencepiece.h"
#include "io/tokenizer/sentencepiece_text.h"
#include "io/tokenizer/vocab.h"

static const char model_name[] = "tokenizer.model";
static const char config_name[] = "tokenizer_config.json";

#define CONFIG_MAX ((size_t)64 << 20) /* bytes; such files list all added tokens */

struct lrp_tokenizer {
  lrp_vocab vocab;
  bool add_bos, add_eos;
};

static bool absent(const char *path) {
  return access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static lrp_status fail_absent(const char *dir) {
  char *json = lrp_path_join(dir, "tokenizer.json");
  lrp_status st = LRP_ERR_MEM;

  if (!json) return st;
  if (absent(json)) {
    st = lrp_fail(LRP_ERR_ABSENT, "%s: no tokenizer: %s (SentencePiece) is expected there", dir,
                  model_name);
  } else {
    st = lrp_fail(LRP_ERR_ABSENT, "%s: tokenizer.json is not read yet, %s is expected", dir,
                  model_name);
  }
  free(json);
  return st;
}

static lrp_status read_vocab(const char *dir, lrp_vocab *v) {
  char *path = lrp_path_join(dir, model_name);
  char *data = NULL;
  size_t size = 0;
  lrp_status st = LRP_ERR_MEM;

  if (!path) return st;
  st = absent(path) ? fail_absent(dir) : lrp_file_read(path, LRP_SENTENCEPIECE_MAX, &data, &size);
  if (st == LRP_OK) st = lrp_sentencepiece_read(data, size, path, v);
  free(path);
  return st;
}

/* Absent and null keep the default. */
static lrp_status read_flag(const char *path, const json_t *root, const char *key, bool *value) {
  const json_t *item = json_object_get(root, key);

  if (!item || json_is_null(item)) return LRP_OK;
  if (!json_is_boolean(item)) {
    return lrp_fail(LRP_ERR_DATA, "%s: %s: expected true or false", path, key);
  }
  *value = json_is_true(item);
  return LRP_OK;
}

static lrp_status parse_config(const char *path, const char *data, size_t size,
                               lrp_tokenizer *tok) {
  json_error_t error;
  json_t *root;
  lrp_status st = LRP_OK;

  /* "model_max_length" is 1000000000000000019884624838656 in many files: no integer here. */
  root = json_loadb(data, size, JSON_DECODE_INT_AS_REAL, &error);
  if (!root && json_error_code(&error) == json_error_out_of_memory) {
    return lrp_fail_memory(size, path);
  }
  if (!root) return lrp_fail(LRP_ERR_DATA, "%s:%d: %s", path, error.line, error.text);
  if (!json_is_object(root)) st = lrp_fail(LRP_ERR_DATA, "%s: expected a JSON object", path);
  if (st == LRP_OK) st = read_flag(path, root, "add_bos_token", &tok->add_bos);
  if (st == LRP_OK) st = read_flag(path, root, "add_eos_token", &tok->add_eos);
  json_decref(root);
  return st;
}

static lrp_status read_config(const char *dir, lrp_tokenizer *tok) {
  char *path = lrp_path_join(dir, config_name);
  char *data = NULL;
  size_t size = 0;
  lrp_status st = LRP_ERR_MEM;

  if (!path) return st;
  st = LRP_OK;
  if (!absent(path)) {
    st = lrp_file_read(path, CONFIG_MAX, &data, &size);
    if (st == LRP_OK) st = parse_config(path, data, size, tok);
  }
  free(data);
  free(path);
  return st;
}

lrp_status lrp_tokenizer_open(const char *dir, lrp_tokenizer **out) {
  lrp_tokenizer *tok = malloc(sizeof *tok);
  lrp_status st;

  *out = NULL;
  if (!tok) return lrp_fail_memory(sizeof *tok, "a tokenizer");
  lrp_vocab_init(&tok->vocab);
  tok->add_bos = true;
  tok->add_eos = false;
  st = read_vocab(dir, &tok->vocab);
  if (st == LRP_OK) st = read_config(dir, tok);
  if (st != LRP_OK) {
    lrp_tokenizer_close(&tok);
    return st;
  }
  *out = tok;
  return LRP_OK;
}

void lrp_tokenizer_close(lrp_tokenizer **tok) {
  if (!*tok) return;
  lrp_vocab_free(&(*tok)->vocab);
  free(*tok);
  *tok = NULL;
}

int32_t lrp_tokenizer_bos(const lrp_tokenizer *tok) {
  return tok->vocab.bos;
}

int32_t lrp_tokenizer_eos(const lrp_tokenizer *tok) {
  return tok->vocab.eos;
}

int64_t lrp_tokenizer_size(const lrp_tokenizer *tok) {
  return tok->vocab.count;
}

const char *lrp_tokenizer_file(const lrp_tokenizer *tok) {
  (void)tok;
  return model_name;
}

void lrp_tokens_free(lrp_tokens *t) {
  free(t->ids);
  memset(t, 0, sizeof *t);
}

lrp_status lrp_tokens_push(lrp_tokens *t, int32_t id) {
  if (t->count == t->capacity) {
    const int64_t capacity = t->capacity > 0 ? 2 * t->capacity : 64;
    int32_t *ids = realloc(t->ids, (size_t)capacity * sizeof *ids);
    if (!ids) return lrp_fail_memory((size_t)capacity * sizeof *ids, "tokens");
    t->ids = ids;
    t->capacity = capacity;
  }
  t->ids[t->count++] = id;
  return LRP_OK;
}

static bool starts_with_bos(const lrp_vocab *v, const char *text, size_t length) {
  const lrp_piece *bos = v->bos >= 0 ? &v->pieces[v->bos] : NULL;
  return bos && length >= bos->length && memcmp(text, bos->text, bos->length) == 0;
}

lrp_status lrp_tokenizer_encode(const lrp_tokenizer *tok, const char *text, size_t length,
                                bool special, lrp_tokens *out) {
  const lrp_vocab *v = &tok->vocab;
  const int64_t before = out->count;
  lrp_status st = LRP_OK;

  if (starts_with_bos(v, text, length)) special = false;
  if (special && tok->add_bos && v->bos >= 0) st = lrp_tokens_push(out, v->bos);
  if (st == LRP_OK) st = lrp_sentencepiece_encode(v, text, length, out);
  if (st == LRP_OK && special && tok->add_eos && v->eos >= 0) st = lrp_tokens_push(out, v->eos);
  if (st != LRP_OK) out->count = before;
  return st;
}

lrp_status lrp_tokenizer_decode(const lrp_tokenizer *tok, const int32_t *ids, int64_t count,
                                char **text) {
  return lrp_sentencepiece_decode(&tok->vocab, ids, count, text);
}
