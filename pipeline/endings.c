/* When an answer ends, and what text it is: the first part of pipeline/generate.h. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "pipeline/generate.h"
#include "pipeline/python_text.h"

/* Tokens that are looked at beyond those of a stop string: the model may spell it in others. */
enum { spare_tokens = 2 };

enum { config_bytes_max = 1 << 24 };

static bool is_end(const lrp_endings *e, int32_t token) {
  for (int i = 0; i < e->n_ends; i++) {
    if (e->end[i] == token) return true;
  }
  return false;
}

/* False if there is no room. */
static bool add_end(lrp_endings *e, int32_t id) {
  if (id < 0 || is_end(e, id)) return true;
  if (e->n_ends == LRP_ENDINGS) return false;
  e->end[e->n_ends++] = id;
  return true;
}

/* A stop that is one token which decodes to nothing is special: seen by its id. */
static lrp_status add_stop(lrp_endings *e, const char *text) {
  lrp_tokens ids = {0};
  char *shown = NULL;
  lrp_status st = lrp_tokenizer_encode(e->tok, text, strlen(text), false, &ids);
  if (st == LRP_OK) st = lrp_tokenizer_decode(e->tok, ids.ids, ids.count, &shown);
  if (st == LRP_OK) {
    e->stop[e->n_stops++] = (lrp_stop_string){.text = text, .tail = ids.count + spare_tokens};
    if (ids.count == 1 && shown[0] == '\0') add_end(e, ids.ids[0]); /* there is room */
  }
  free(shown);
  lrp_tokens_free(&ids);
  return st;
}

static bool has_stop(const lrp_endings *e, const char *text) {
  for (int i = 0; i < e->n_stops; i++) {
    if (strcmp(e->stop[i].text, text) == 0) return true;
  }
  return false;
}

lrp_status lrp_endings_init(const lrp_task_kind *kind, const lrp_tokenizer *tok, lrp_endings *out) {
  const char *eos = lrp_tokenizer_eos_text(tok);
  lrp_status st = LRP_OK;

  *out = (lrp_endings){.tok = tok, .max_new = kind->max_new};
  add_end(out, lrp_tokenizer_eos(tok));
  for (int i = 0; st == LRP_OK && i < LRP_TASK_STOPS && kind->stops[i]; i++) {
    st = add_stop(out, kind->stops[i]);
  }
  if (st == LRP_OK && eos && eos[0] != '\0' && !has_stop(out, eos)) st = add_stop(out, eos);
  return st;
}

/* One of the tokens of eos_token_id. */
static bool add_value(lrp_endings *e, const json_t *value) {
  const json_int_t id = json_integer_value(value);
  return json_is_integer(value) && id >= 0 && id <= INT32_MAX && add_end(e, (int32_t)id);
}

static lrp_status add_values(lrp_endings *e, const char *path, const json_t *value) {
  size_t i;
  const json_t *item;
  bool ok = !value || json_is_null(value) || json_is_array(value) || add_value(e, value);
  json_array_foreach(value, i, item) ok = ok && add_value(e, item);
  if (ok) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: field eos_token_id: expected a token id, or up to %d of them",
                  path, LRP_ENDINGS - LRP_TASK_STOPS - 1);
}

lrp_status lrp_endings_of_model(lrp_endings *e, const char *dir) {
  char *path = lrp_path_join(dir, "generation_config.json"), *text = NULL;
  size_t size;

  if (path && !lrp_file_exists(path)) {
    free(path);
    path = lrp_path_join(dir, "config.json");
  }
  lrp_status st = path ? lrp_file_read(path, config_bytes_max, &text, &size) : LRP_ERR_MEM;
  if (st == LRP_OK) {
    json_t *config = json_loadb(text, size, 0, NULL);
    st = json_is_object(config) ? add_values(e, path, json_object_get(config, "eos_token_id"))
                                : lrp_fail(LRP_ERR_DATA, "%s: expected a JSON object", path);
    json_decref(config);
  }
  free(text);
  free(path);
  return st;
}

lrp_status lrp_endings_reached(const lrp_endings *e, const int32_t *tokens, int64_t n,
                               bool *ended) {
  *ended = n >= e->max_new || is_end(e, tokens[n - 1]);
  for (int i = 0; !*ended && i < e->n_stops; i++) {
    const int64_t tail = n < e->stop[i].tail ? n : e->stop[i].tail;
    char *text;
    const lrp_status st = lrp_tokenizer_decode(e->tok, tokens + n - tail, tail, &text);
    if (st != LRP_OK) return st;
    *ended = strstr(text, e->stop[i].text);
    free(text);
  }
  return LRP_OK;
}

char *lrp_endings_text(const lrp_endings *e, const int32_t *tokens) {
  int64_t n = 0;
  char *text = NULL;

  while (n < e->max_new && tokens[n] >= 0) n++;
  if (lrp_tokenizer_decode(e->tok, tokens, n, &text) != LRP_OK) return NULL;
  for (int i = 0; i < e->n_stops; i++) {
    char *found = strstr(text, e->stop[i].text);
    if (found) *found = '\0';
  }
  return text;
}
