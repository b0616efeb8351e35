#include "io/tokenizer/added.h"

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/buffer.h"
#include "io/tokenizer/characters.h"

void lrp_added_free(lrp_added *a) {
  for (int32_t i = 0; i < a->n_patterns; i++) free(a->patterns[i]);
  free(a->patterns);
  lrp_text_set_free(&a->normalized);
  lrp_text_set_free(&a->raw);
  free(a->tokens);
  memset(a, 0, sizeof *a);
}

lrp_status lrp_added_put(lrp_added *a, const lrp_added_token *token) {
  if (a->count == a->capacity) {
    const int32_t capacity = a->capacity > 0 ? 2 * a->capacity : 16;
    lrp_added_token *tokens = realloc(a->tokens, (size_t)capacity * sizeof *tokens);
    if (!tokens) return lrp_fail_memory((size_t)capacity * sizeof *tokens, "added tokens");
    a->tokens = tokens;
    a->capacity = capacity;
  }
  a->tokens[a->count++] = *token;
  return LRP_OK;
}

/* Of two with one text, the first one is in the set: it takes over what the later one says. */
static lrp_status enter(lrp_added *a, lrp_text_set *set, const char *text, size_t length,
                        int32_t index) {
  int32_t found;
  lrp_status st = LRP_OK;

  if (length == 0) return LRP_OK;
  st = lrp_text_set_add(set, text, length, index, &found);
  if (st == LRP_OK && found >= 0 && a->tokens[found].id == a->tokens[index].id) {
    a->tokens[found] = a->tokens[index];
  }
  return st;
}

static lrp_status enter_normalized(lrp_added *a, const lrp_normalizer *normalizer, int32_t index) {
  lrp_buffer buffers[2] = {{0}, {0}};
  const char *text;
  size_t length;
  char *pattern = NULL;
  lrp_status st = lrp_normalize(normalizer, a->tokens[index].text, a->tokens[index].length, buffers,
                                &text, &length);

  if (st == LRP_OK) {
    pattern = lrp_bytes_copy(text, length, "an added token");
    if (!pattern) st = LRP_ERR_MEM;
  }
  if (st == LRP_OK) {
    a->patterns[a->n_patterns++] = pattern;
    st = enter(a, &a->normalized, pattern, length, index);
  }
  free(buffers[0].data);
  free(buffers[1].data);
  return st;
}

/* Special tokens first: where two normalized texts are the same, they win. */
lrp_status lrp_added_index(lrp_added *a, const lrp_normalizer *normalizer) {
  const size_t bytes = ((size_t)a->count + 1) * sizeof *a->patterns;
  lrp_status st = LRP_OK;

  a->patterns = malloc(bytes);
  if (!a->patterns) return lrp_fail_memory(bytes, "added tokens");
  for (int pass = 0; pass < 2; pass++) {
    for (int32_t i = 0; i < a->count && st == LRP_OK; i++) {
      const lrp_added_token *token = &a->tokens[i];
      if (token->special != (pass == 0)) continue;
      st = token->normalized ? enter_normalized(a, normalizer, i)
                             : enter(a, &a->raw, token->text, token->length, i);
    }
  }
  if (st == LRP_OK) st = lrp_text_set_finish(&a->raw);
  if (st == LRP_OK) st = lrp_text_set_finish(&a->normalized);
  return st;
}

static bool stands_alone(const char *text, size_t length, size_t start, size_t end) {
  size_t used;

  if (start > 0 && lrp_is_word(lrp_character_before(text, start, &used))) return false;
  return end == length || !lrp_is_word(lrp_character_at(text, length, end, &used));
}

/* Not below least, where the match before it ends. */
static size_t strip_left(const char *text, size_t start, size_t least) {
  size_t used;

  while (start > 0 && lrp_is_space(lrp_character_before(text, start, &used))) start -= used;
  return start > least ? start : least;
}

static size_t strip_right(const char *text, size_t length, size_t end) {
  size_t used;

  while (end < length && lrp_is_space(lrp_character_at(text, length, end, &used))) end += used;
  return end;
}

bool lrp_added_next(const lrp_added *a, const lrp_text_set *set, const char *text, size_t length,
                    lrp_added_cursor *cursor, lrp_added_match *match) {
  while (cursor->scan < length) {
    const size_t start = cursor->scan;
    const lrp_text_item *item = lrp_text_set_prefix(set, text + start, length - start);
    const lrp_added_token *token;
    if (!item) {
      cursor->scan++;
      continue;
    }
    token = &a->tokens[item->value];
    cursor->scan = start + item->length;
    if (token->single_word && !stands_alone(text, length, start, cursor->scan)) continue;
    *match = (lrp_added_match){.start = start, .end = cursor->scan, .id = token->id};
    if (token->lstrip) match->start = strip_left(text, start, cursor->used);
    if (token->rstrip) match->end = strip_right(text, length, match->end);
    cursor->used = match->end;
    return true;
  }
  return false;
}
