#include "io/tokenizer/wordpiece.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "io/tokenizer/beside.h"
#include "io/tokenizer/tokenizer_json.h"
#include "io/tokenizer/wordpiece_json.h"

static const char json_name[] = "tokenizer.json";
static const char text_name[] = "vocab.txt";

#define VOCAB_TXT_MAX ((size_t)64 << 20) /* bytes */

struct lrp_wordpiece {
  lrp_wordpiece_rules rules;
  const char *file; /* borrowed: its name */
};

/* ---- Opening --------------------------------------------------------------------------------- */

typedef lrp_status (*reader)(char *data, size_t size, const char *file, lrp_wordpiece_rules *r);

/* Leaves tok->file NULL if dir has no such file. */
static lrp_status read_file(const char *dir, const char *name, size_t max, reader read,
                            lrp_wordpiece *tok) {
  char *path, *data;
  size_t size;
  lrp_status st = lrp_beside_read(dir, name, max, &path, &data, &size);

  if (path) tok->file = name;
  if (st == LRP_OK && path) st = read(data, size, path, &tok->rules);
  free(path);
  return st;
}

/* {"content": "[CLS]"} or "[CLS]", or NULL */
static const char *token_text(const json_t *root, const char *key) {
  const json_t *item = json_object_get(root, key);
  if (json_is_object(item)) item = json_object_get(item, "content");
  return json_string_value(item);
}

/* The special tokens of a vocab.txt, by their names in the files beside it. */
typedef struct {
  const char *key, *usual;
  bool needed;
  int32_t *id; /* NULL: nobody asks for it */
} special;

static lrp_status find_special(const char *dir, const special *s, const char *text,
                               lrp_wordpiece_rules *r) {
  lrp_rules *common = &r->common;
  const int32_t id = text[0] ? lrp_vocab_find(&common->vocab, text, strlen(text)) : -1;

  if (s->id) *s->id = id;
  if (id < 0 && !s->needed) return LRP_OK;
  if (id < 0) {
    return lrp_fail(LRP_ERR_DATA, "%s/%s: the %s '%.100s' is not in it; fetch the file again", dir,
                    text_name, s->key, text);
  }
  const lrp_piece *piece = &common->vocab.pieces[id];
  return lrp_added_put(
      &common->added,
      &(lrp_added_token){.text = piece->text, .length = piece->length, .id = id, .special = true});
}

static lrp_status find_specials(const char *dir, const json_t *config, lrp_wordpiece_rules *r) {
  const special list[] = {{"unk_token", "[UNK]", true, &r->common.vocab.unk},
                          {"cls_token", "[CLS]", true, &r->cls},
                          {"sep_token", "[SEP]", true, &r->sep},
                          {"pad_token", "[PAD]", false, NULL},
                          {"mask_token", "[MASK]", false, &r->mask}};
  json_t *map = NULL;
  lrp_status st = lrp_beside_object(dir, "special_tokens_map.json", &map);

  for (size_t i = 0; i < sizeof list / sizeof *list && st == LRP_OK; i++) {
    const char *text = token_text(config, list[i].key);
    if (!text) text = token_text(map, list[i].key);
    st = find_special(dir, &list[i], text ? text : list[i].usual, r);
  }
  if (st == LRP_OK) st = lrp_added_index(&r->common.added, &r->common.normalizer);
  json_decref(map);
  return st;
}

/* tokenizer.json does not say which of its tokens is the mask. */
static void find_mask(const json_t *config, lrp_wordpiece_rules *r) {
  const char *text = token_text(config, "mask_token");
  if (!text) text = "[MASK]";
  r->mask = text[0] ? lrp_vocab_find(&r->common.vocab, text, strlen(text)) : -1;
}

/* Japanese BERT models split words by a dictionary, and have a vocab.txt, too. */
static lrp_status check_class(const char *dir, const json_t *config) {
  static const char other[] = "BertJapanese";
  const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
  if (!name || strncmp(name, other, sizeof other - 1) != 0) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s/tokenizer_config.json: tokenizer_class %.100s is not supported",
                  dir, name);
}

static lrp_status read_config(const char *dir, lrp_wordpiece *tok) {
  lrp_wordpiece_rules *r = &tok->rules;
  json_t *config = NULL;
  lrp_status st = lrp_beside_object(dir, "tokenizer_config.json", &config);
  const json_t *accents = json_object_get(config, "strip_accents");
  bool strip = false;

  if (st == LRP_OK) st = check_class(dir, config);
  if (st == LRP_OK) st = lrp_beside_flag(dir, config, "do_lower_case", &r->glyphs.lower);
  if (st == LRP_OK) {
    st = lrp_beside_flag(dir, config, "tokenize_chinese_chars", &r->glyphs.chinese);
  }
  if (st == LRP_OK) st = lrp_beside_flag(dir, config, "strip_accents", &strip);
  if (json_is_null(accents)) r->strip = LRP_STRIP_AS_LOWER;
  if (json_is_boolean(accents)) r->strip = strip ? LRP_STRIP_YES : LRP_STRIP_NO;
  r->glyphs.strip = r->strip == LRP_STRIP_AS_LOWER ? r->glyphs.lower : r->strip == LRP_STRIP_YES;
  if (st == LRP_OK && tok->file == text_name) {
    st = find_specials(dir, config, r);
  } else if (st == LRP_OK) {
    find_mask(config, r);
  }
  json_decref(config);
  return st;
}

lrp_status lrp_wordpiece_open(const char *dir, lrp_wordpiece **out) {
  lrp_wordpiece *tok = calloc(1, sizeof *tok);
  lrp_status st;

  *out = NULL;
  if (!tok) return lrp_fail_memory(sizeof *tok, "a tokenizer");
  st = lrp_wordpiece_rules_init(&tok->rules);
  if (st == LRP_OK) {
    st = read_file(dir, json_name, LRP_TOKENIZER_JSON_MAX, lrp_wordpiece_json_read, tok);
  }
  if (st == LRP_OK && !tok->file) {
    st = read_file(dir, text_name, VOCAB_TXT_MAX, lrp_vocab_txt_read, tok);
  }
  if (st == LRP_OK && !tok->file) {
    st = lrp_fail(LRP_ERR_ABSENT, "%s: no tokenizer: %s or %s (WordPiece) is expected there", dir,
                  json_name, text_name);
  }
  if (st == LRP_OK) st = read_config(dir, tok);
  if (st != LRP_OK) {
    lrp_wordpiece_close(&tok);
    return st;
  }
  *out = tok;
  return LRP_OK;
}

void lrp_wordpiece_close(lrp_wordpiece **tok) {
  if (!*tok) return;
  lrp_wordpiece_rules_free(&(*tok)->rules);
  free(*tok);
  *tok = NULL;
}

int32_t lrp_wordpiece_cls(const lrp_wordpiece *tok) {
  return tok->rules.cls;
}

int32_t lrp_wordpiece_sep(const lrp_wordpiece *tok) {
  return tok->rules.sep;
}

int32_t lrp_wordpiece_mask(const lrp_wordpiece *tok) {
  return tok->rules.mask;
}

int64_t lrp_wordpiece_size(const lrp_wordpiece *tok) {
  return tok->rules.common.vocab.count;
}

const char *lrp_wordpiece_file(const lrp_wordpiece *tok) {
  return tok->file;
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

void lrp_wordpieces_free(lrp_wordpieces *pieces) {
  free(pieces->tokens);
  memset(pieces, 0, sizeof *pieces);
}

static lrp_status push(lrp_wordpieces *p, const lrp_wordpiece_token *token) {
  if (p->count == p->capacity) {
    const int64_t capacity = p->capacity > 0 ? 2 * p->capacity : 64;
    lrp_wordpiece_token *tokens = realloc(p->tokens, (size_t)capacity * sizeof *tokens);
    if (!tokens) return lrp_fail_memory((size_t)capacity * sizeof *tokens, "tokens");
    p->tokens = tokens;
    p->capacity = capacity;
  }
  p->tokens[p->count++] = *token;
  return LRP_OK;
}

/* One call of lrp_wordpiece_encode. */
typedef struct {
  const lrp_wordpiece_rules *rules; /* borrowed */
  lrp_wordpieces *out;              /* borrowed */
  lrp_glyphs glyphs;
  char *bytes;    /* owned: prefix and word in UTF-8 */
  size_t *places; /* owned: where each of its characters starts in bytes, and where it ends */
  int64_t most;   /* characters that these have room for */
} encoder;

static lrp_status reserve(encoder *e, int64_t characters) {
  enum { longest = 4 }; /* bytes of a character */
  if (characters <= e->most) return LRP_OK;
  const int64_t most = 2 * characters;
  const size_t size = e->rules->prefix_length + (size_t)most * longest;
  free(e->bytes);
  free(e->places);
  e->most = most;
  e->bytes = malloc(size);
  e->places = malloc((size_t)(most + 1) * sizeof *e->places);
  if (e->bytes && e->places) return LRP_OK;
  return lrp_fail_memory(size + (size_t)(most + 1) * sizeof *e->places, "a word");
}

/* The word in UTF-8, behind room for the prefix. */
static void write_word(encoder *e, const lrp_glyph *word, int64_t n) {
  size_t at = e->rules->prefix_length;
  for (int64_t i = 0; i < n; i++) {
    e->places[i] = at;
    at += (size_t)utf8proc_encode_char(word[i].code, (utf8proc_uint8_t *)e->bytes + at);
  }
  e->places[n] = at;
}

/* Id and end of the longest piece that starts at character `from` of the word; -1 if there is none.
 * The prefix is written over characters that are done with. */
static int32_t find_piece(encoder *e, int64_t from, int64_t n, int64_t *end) {
  const lrp_vocab *v = &e->rules->common.vocab;
  const size_t prefix = from > 0 ? e->rules->prefix_length : 0;
  const size_t start = e->places[from] - prefix;

  memcpy(e->bytes + start, e->rules->prefix, prefix);
  for (*end = n; *end > from; --*end) {
    const size_t length = e->places[*end] - start;
    const int32_t id =
        length > v->merge_max ? -1 : lrp_vocab_find_mergeable(v, e->bytes + start, length);
    if (id >= 0) return id;
  }
  return -1;
}

static lrp_status push_token(encoder *e, int32_t id, const lrp_glyph *word, int64_t from,
                             int64_t end) {
  const lrp_wordpiece_token token = {.id = id, .start = word[from].at, .end = word[end - 1].at + 1};
  return push(e->out, &token);
}

static lrp_status encode_word(encoder *e, const lrp_glyph *word, int64_t n) {
  const int64_t before = e->out->count;
  const int32_t unk = e->rules->common.vocab.unk;

  if (n > e->rules->max_characters) return push_token(e, unk, word, 0, n);
  lrp_status st = reserve(e, n);
  if (st != LRP_OK) return st;
  write_word(e, word, n);
  for (int64_t from = 0, end = 0; from < n && st == LRP_OK; from = end) {
    const int32_t id = find_piece(e, from, n, &end);
    if (id < 0) {
      e->out->count = before; /* one part fails: the whole word does */
      return push_token(e, unk, word, 0, n);
    }
    st = push_token(e, id, word, from, end);
  }
  return st;
}

/* The text between two added tokens; first: number of its first character. */
static lrp_status encode_part(encoder *e, const char *text, size_t length, int32_t first) {
  int64_t start, end = 0;
  lrp_status st = lrp_glyphs_normalize(&e->rules->glyphs, text, length, first, &e->glyphs);

  while (st == LRP_OK && lrp_glyphs_next_word(&e->glyphs, &start, &end)) {
    st = encode_word(e, e->glyphs.glyphs + start, end - start);
  }
  return st;
}

static lrp_status encode_text(encoder *e, const char *text, size_t length) {
  const lrp_added *added = &e->rules->common.added;
  lrp_added_cursor cursor = {0};
  lrp_added_match match;
  size_t at = 0;
  int32_t first = 0;
  lrp_status st = LRP_OK;

  while (st == LRP_OK && lrp_added_next(added, &added->raw, text, length, &cursor, &match)) {
    const size_t before = match.start > at ? match.start - at : 0;
    if (before > 0) st = encode_part(e, text + at, before, first);
    first += lrp_character_count(text + at, before);
    const int32_t end = first + lrp_character_count(text + match.start, match.end - match.start);
    const lrp_wordpiece_token token = {.id = match.id, .start = first, .end = end};
    if (st == LRP_OK) st = push(e->out, &token);
    at = match.end;
    first = end;
  }
  return st == LRP_OK && at < length ? encode_part(e, text + at, length - at, first) : st;
}

lrp_status lrp_wordpiece_encode(const lrp_wordpiece *tok, const char *text, size_t length,
                                lrp_wordpieces *out) {
  encoder e = {.rules = &tok->rules, .out = out};
  lrp_status st;

  out->count = 0;
  if (length > INT32_MAX) {
    return lrp_fail(LRP_ERR_DATA, "a text of %zu bytes is too long for the tokenizer: split it",
                    length);
  }
  st = encode_text(&e, text, length);
  free(e.places);
  free(e.bytes);
  free(e.glyphs.glyphs);
  return st;
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

int64_t lrp_wordpiece_specials(const lrp_wordpiece *tok, bool pair) {
  (void)tok;
  return pair ? 3 : 2;
}

static lrp_status push_special(lrp_wordpieces *out, int32_t id, int32_t type) {
  return push(out, &(lrp_wordpiece_token){.id = id, .type = type, .text = -1});
}

/* count tokens of a text from number `from` on */
static lrp_status push_text(lrp_wordpieces *out, const lrp_wordpieces *text, int64_t from,
                            int64_t count, int32_t number) {
  lrp_status st = LRP_OK;
  for (int64_t i = from; i < from + count && st == LRP_OK; i++) {
    lrp_wordpiece_token token = text->tokens[i];
    token.type = token.text = number;
    st = push(out, &token);
  }
  return st;
}

/* Tokens of a and b that are used. */
typedef struct {
  int64_t a, from, b; /* the first a of a; b of b from number `from` on */
} share;

static lrp_status assemble(const lrp_wordpiece *tok, const lrp_wordpieces *a,
                           const lrp_wordpieces *b, const share *s, lrp_wordpieces *out) {
  const int32_t sep = tok->rules.sep;
  out->count = 0;
  lrp_status st = push_special(out, tok->rules.cls, 0);
  if (st == LRP_OK) st = push_text(out, a, 0, s->a, 0);
  if (st == LRP_OK) st = push_special(out, sep, 0);
  if (st != LRP_OK || !b) return st;
  st = push_text(out, b, s->from, s->b, 1);
  return st == LRP_OK ? push_special(out, sep, 1) : st;
}

/* Cut both to room tokens together as Hugging Face's tokenizers do: a text that is shorter than
 * half of the room keeps all its tokens; if none is, each gets half, the longer one the odd token.
 */
static void cut_longest(int64_t room, share *s) {
  int64_t *shorter = s->a <= s->b ? &s->a : &s->b;
  int64_t *longer = shorter == &s->a ? &s->b : &s->a;
  if (s->a + s->b <= room) return;
  if (*shorter <= room / 2) {
    *longer = room - *shorter;
  } else {
    *shorter = room / 2;
    *longer = room - *shorter;
  }
}

lrp_status lrp_wordpiece_input(const lrp_wordpiece *tok, const lrp_wordpieces *a,
                               const lrp_wordpieces *b, int64_t max_length, lrp_wordpieces *out) {
  const int64_t room = max_length - lrp_wordpiece_specials(tok, b != NULL);
  share s = {.a = a->count, .b = b ? b->count : 0};

  if (max_length != 0 && room < 0) {
    return lrp_fail(LRP_ERR_DATA, "a maximum length of %lld does not hold the special tokens",
                    (long long)max_length);
  }
  if (max_length != 0) cut_longest(room, &s);
  return assemble(tok, a, b, &s, out);
}

lrp_status lrp_wordpiece_window(const lrp_wordpiece *tok, const lrp_wordpieces *a,
                                const lrp_wordpieces *b, int64_t max_length, int64_t stride,
                                int64_t index, lrp_wordpieces *out, bool *more) {
  const int64_t room = max_length - lrp_wordpiece_specials(tok, true) - a->count;
  const bool fits = b->count <= room;
  share s = {.a = a->count, .from = 0, .b = b->count};

  *more = false;
  if (!fits && (room <= 0 || stride < 0 || room <= stride)) {
    return lrp_fail(
        LRP_ERR_DATA,
        "a text of %lld tokens leaves no room for another one in windows of %lld tokens "
        "that overlap by %lld",
        (long long)a->count, (long long)max_length, (long long)stride);
  }
  if (!fits) {
    s.from = index * (room - stride);
    s.b = b->count - s.from < room ? b->count - s.from : room;
    *more = s.from + s.b < b->count;
  }
  return assemble(tok, a, b, &s, out);
}
