#include "io/tokenizer/tokenizer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/beside.h"
#include "io/tokenizer/decode.h"
#include "io/tokenizer/encode.h"
#include "io/tokenizer/gpt2_files.h"
#include "io/tokenizer/sentencepiece.h"
#include "io/tokenizer/tokenizer_json.h"
#include "kernels/log.h"

static const char json_name[] = "tokenizer.json";
static const char model_name[] = "tokenizer.model";
static const char gpt2_name[] = "vocab.json";

struct lrp_tokenizer {
  lrp_rules rules;
  const char *file; /* borrowed: its name */
  char *bos_text;   /* owned, or NULL */
  char *eos_text;   /* likewise */
};

/* ---- The rules ------------------------------------------------------------------------------- */

typedef lrp_status (*reader)(char *data, size_t size, const char *file, lrp_rules *r);

/* Leaves tok->file NULL if dir has no such file. */
static lrp_status read_file(const char *dir, const char *name, size_t max, reader read,
                            lrp_tokenizer *tok) {
  char *path, *data;
  size_t size;
  lrp_status st = lrp_beside_read(dir, name, max, &path, &data, &size);

  if (path) tok->file = name;
  if (st == LRP_OK && path) st = read(data, size, path, &tok->rules);
  free(path);
  return st;
}

static lrp_status read_gpt2(const char *dir, const json_t *config, lrp_tokenizer *tok) {
  bool found;
  const lrp_status st = lrp_gpt2_files_read(dir, config, &found, &tok->rules);

  if (found) tok->file = gpt2_name;
  return st;
}

static lrp_status read_rules(const char *dir, const json_t *config, lrp_tokenizer *tok) {
  lrp_status st = read_file(dir, json_name, LRP_TOKENIZER_JSON_MAX, lrp_tokenizer_json_read, tok);

  if (st == LRP_OK && !tok->file) {
    st = read_file(dir, model_name, LRP_SENTENCEPIECE_MAX, lrp_sentencepiece_read, tok);
  }
  if (st == LRP_OK && !tok->file) st = read_gpt2(dir, config, tok);
  if (st != LRP_OK || tok->file) return st;
  return lrp_fail(
      LRP_ERR_ABSENT,
      "%s: no tokenizer: %s, %s (SentencePiece), or %s and merges.txt are expected there", dir,
      json_name, model_name, gpt2_name);
}

/* ---- What stands beside them ----------------------------------------------------------------- */

/* What a tokenizer without rules for it adds: add_bos_token and add_eos_token. */
static lrp_status add_marks(const char *dir, const json_t *config, bool bos, bool eos,
                            lrp_rules *r) {
  lrp_status st = lrp_beside_flag(dir, config, "add_bos_token", &bos);

  if (st == LRP_OK) st = lrp_beside_flag(dir, config, "add_eos_token", &eos);
  if (st == LRP_OK && r->marks_given) {
    if (bos != (r->front.count > 0) || eos != (r->behind.count > 0)) {
      lrp_warn(
          "%s/tokenizer_config.json: add_bos_token and add_eos_token contradict the post_processor "
          "of tokenizer.json, which is followed",
          dir);
    }
    return st;
  }
  if (st == LRP_OK && bos && r->vocab.bos >= 0) st = lrp_id_list_push(&r->front, r->vocab.bos);
  if (st == LRP_OK && eos && r->vocab.eos >= 0) st = lrp_id_list_push(&r->behind, r->vocab.eos);
  return st;
}

/* A token by its text, {"content": "<s>"} or "<s>", or none by null. Sets *found if the object says
 * so. */
static lrp_status name_mark(const char *dir, const json_t *root, const char *key,
                            const lrp_vocab *v, int32_t *id, bool *found) {
  const json_t *item = json_object_get(root, key);
  const char *text;

  if (json_is_object(item)) item = json_object_get(item, "content");
  text = json_string_value(item);
  if (*found || (!text && !json_is_null(item))) return LRP_OK;
  *found = true;
  *id = text ? lrp_vocab_find(v, text, strlen(text)) : -1;
  if (!text || *id >= 0) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: the %s '%.100s' is no token of tokenizer.json", dir, key,
                  text);
}

/* A token by its number; a list of them (eos_token_id) names the first. */
static void number_mark(const json_t *root, const char *key, const lrp_vocab *v, int32_t *id) {
  const json_t *item = json_object_get(root, key);
  double number;

  if (*id >= 0) return;
  if (json_is_array(item)) item = json_array_get(item, 0);
  number = json_is_real(item) ? json_real_value(item) : -1.0;
  if (number >= 0.0 && number < v->count) *id = (int32_t)number;
}

/* BOS and EOS of tokenizer.json, which does not name them. */
static lrp_status find_marks(const char *dir, const json_t *config, lrp_vocab *v) {
  json_t *map = NULL, *model = NULL;
  bool bos = false, eos = false;
  lrp_status st = name_mark(dir, config, "bos_token", v, &v->bos, &bos);

  if (st == LRP_OK) st = name_mark(dir, config, "eos_token", v, &v->eos, &eos);
  if (st == LRP_OK && (!bos || !eos)) st = lrp_beside_object(dir, "special_tokens_map.json", &map);
  if (st == LRP_OK) st = name_mark(dir, map, "bos_token", v, &v->bos, &bos);
  if (st == LRP_OK) st = name_mark(dir, map, "eos_token", v, &v->eos, &eos);
  if (st == LRP_OK && (!bos || !eos)) st = lrp_beside_object(dir, "config.json", &model);
  if (!bos) number_mark(model, "bos_token_id", v, &v->bos);
  if (!eos) number_mark(model, "eos_token_id", v, &v->eos);
  json_decref(model);
  json_decref(map);
  return st;
}

static lrp_status follow_config(const char *dir, const json_t *config, lrp_tokenizer *tok) {
  lrp_rules *r = &tok->rules;
  const bool is_model = tok->file == model_name;
  lrp_status st = lrp_beside_flag(dir, config, "clean_up_tokenization_spaces", &r->clean_up);

  if (st == LRP_OK && !is_model) st = find_marks(dir, config, &r->vocab);
  if (st == LRP_OK) {
    const bool bos = is_model || (r->marks_given && r->front.count > 0);
    const bool eos = r->marks_given && r->behind.count > 0;
    st = add_marks(dir, config, bos, eos, r);
  }
  return st;
}

static lrp_status read_all(const char *dir, lrp_tokenizer *tok) {
  json_t *config = NULL;
  lrp_status st = lrp_beside_object(dir, "tokenizer_config.json", &config);

  if (st == LRP_OK) st = read_rules(dir, config, tok);
  if (st == LRP_OK) st = follow_config(dir, config, tok);
  json_decref(config);
  return st;
}

/* ---- The tokenizer --------------------------------------------------------------------------- */

static lrp_status keep_text(const lrp_vocab *v, int32_t id, char **text) {
  if (id < 0) return LRP_OK;
  *text = strndup(v->pieces[id].text ? v->pieces[id].text : "", v->pieces[id].length);
  return *text ? LRP_OK : lrp_fail_memory(v->pieces[id].length, "a token");
}

static lrp_status keep_texts(lrp_tokenizer *tok) {
  const lrp_vocab *v = &tok->rules.vocab;
  const lrp_status st = keep_text(v, v->bos, &tok->bos_text);
  return st == LRP_OK ? keep_text(v, v->eos, &tok->eos_text) : st;
}

lrp_status lrp_tokenizer_open(const char *dir, lrp_tokenizer **out) {
  lrp_tokenizer *tok = calloc(1, sizeof *tok);
  lrp_status st;

  *out = NULL;
  if (!tok) return lrp_fail_memory(sizeof *tok, "a tokenizer");
  lrp_rules_init(&tok->rules);
  st = read_all(dir, tok);
  if (st == LRP_OK) st = keep_texts(tok);
  if (st != LRP_OK) {
    lrp_tokenizer_close(&tok);
    return st;
  }
  *out = tok;
  return LRP_OK;
}

void lrp_tokenizer_close(lrp_tokenizer **tok) {
  if (!*tok) return;
  free((*tok)->bos_text);
  free((*tok)->eos_text);
  lrp_rules_free(&(*tok)->rules);
  free(*tok);
  *tok = NULL;
}

int32_t lrp_tokenizer_bos(const lrp_tokenizer *tok) {
  return tok->rules.vocab.bos;
}

int32_t lrp_tokenizer_eos(const lrp_tokenizer *tok) {
  return tok->rules.vocab.eos;
}

int64_t lrp_tokenizer_size(const lrp_tokenizer *tok) {
  return tok->rules.vocab.count;
}

const char *lrp_tokenizer_file(const lrp_tokenizer *tok) {
  return tok->file;
}

const char *lrp_tokenizer_bos_text(const lrp_tokenizer *tok) {
  return tok->bos_text;
}

const char *lrp_tokenizer_eos_text(const lrp_tokenizer *tok) {
  return tok->eos_text;
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

static bool starts_with_bos(const lrp_tokenizer *tok, const char *text, size_t length) {
  const size_t n = tok->bos_text ? strlen(tok->bos_text) : 0;
  return n > 0 && length >= n && memcmp(text, tok->bos_text, n) == 0;
}

static lrp_status push_all(const lrp_id_list *list, lrp_tokens *out) {
  lrp_status st = LRP_OK;

  for (int32_t i = 0; i < list->count && st == LRP_OK; i++) {
    st = lrp_tokens_push(out, list->ids[i]);
  }
  return st;
}

lrp_status lrp_tokenizer_encode(const lrp_tokenizer *tok, const char *text, size_t length,
                                bool special, lrp_tokens *out) {
  const lrp_rules *r = &tok->rules;
  const int64_t before = out->count;
  lrp_status st = LRP_OK;

  if (starts_with_bos(tok, text, length)) special = false;
  if (special) st = push_all(&r->front, out);
  if (st == LRP_OK) st = lrp_rules_encode(r, text, length, out);
  if (st == LRP_OK && special) st = push_all(&r->behind, out);
  if (st != LRP_OK) out->count = before;
  return st;
}

lrp_status lrp_tokenizer_decode(const lrp_tokenizer *tok, const int32_t *ids, int64_t count,
                                char **text) {
  return lrp_rules_decode(&tok->rules, ids, count, text);
}
