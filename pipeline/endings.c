/* When an answer ends, and what text it is: the first part of pipeline/generate.h. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/generate.h"
#include "pipeline/python_text.h"

/* Tokens that are looked at beyond those of a stop string: the model may spell it in others. */
enum { spare_tokens = 2 };

static void add_end(lrp_endings *e, int32_t id) {
  if (id >= 0) e->end[e->n_ends++] = id;
}

/* A stop that is one token which decodes to nothing is special: seen by its id. */
static lrp_status add_stop(lrp_endings *e, const char *text) {
  lrp_tokens ids = {0};
  char *shown = NULL;
  lrp_status st = lrp_tokenizer_encode(e->tok, text, strlen(text), false, &ids);
  if (st == LRP_OK) st = lrp_tokenizer_decode(e->tok, ids.ids, ids.count, &shown);
  if (st == LRP_OK) {
    e->stop[e->n_stops++] = (lrp_stop_string){.text = text, .tail = ids.count + spare_tokens};
    if (ids.count == 1 && shown[0] == '\0') add_end(e, ids.ids[0]);
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
  for (int i = 0; st == LRP_OK && i < LRP_TASK_STOPS && kind->stops[i]; i++) {
    st = add_stop(out, kind->stops[i]);
  }
  if (st == LRP_OK && eos && eos[0] != '\0' && !has_stop(out, eos)) st = add_stop(out, eos);
  return st;
}

static bool is_end(const lrp_endings *e, int32_t token) {
  for (int i = 0; i < e->n_ends; i++) {
    if (e->end[i] == token) return true;
  }
  return token == lrp_tokenizer_eos(e->tok);
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
