#include "io/tokenizer/decode.h"

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/decoder.h"

static const lrp_piece *visible_piece(const lrp_vocab *v, int32_t id) {
  const lrp_piece *piece;

  if (id < 0 || id >= v->count || id == v->bos || id == v->eos) return NULL;
  piece = &v->pieces[id];
  if (!piece->text) return NULL;
  return piece->type == LRP_PIECE_CONTROL || piece->type == LRP_PIECE_UNKNOWN ? NULL : piece;
}

/* Texts of the tokens; without a decoder they are words. */
static lrp_status collect(const lrp_rules *r, const int32_t *ids, int64_t count, lrp_parts *parts) {
  lrp_status st = LRP_OK;

  for (int64_t i = 0; i < count && st == LRP_OK; i++) {
    const lrp_piece *piece = visible_piece(&r->vocab, ids[i]);
    if (!piece) continue;
    if (r->space_between && parts->count > 0) st = lrp_parts_push(parts, " ", 1);
    if (st == LRP_OK) st = lrp_parts_push(parts, piece->text, piece->length);
  }
  return st;
}

/* Replace all from, which are longer, in place. */
static void shorten(lrp_buffer *b, const char *from, const char *to) {
  const size_t n = strlen(from), m = strlen(to);
  size_t kept = 0, at = 0;

  while (at < b->length) {
    const char *hit = memmem(b->data + at, b->length - at, from, n);
    const size_t end = hit ? (size_t)(hit - b->data) : b->length;
    memmove(b->data + kept, b->data + at, end - at);
    kept += end - at;
    at = end;
    if (!hit) break;
    memcpy(b->data + kept, to, m);
    kept += m;
    at += n;
  }
  b->length = kept;
}

/* What transformers calls clean_up_tokenization, in its order. */
static void clean_up(lrp_buffer *b) {
  static const char *const rules[][2] = {
      {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) shorten(b, rules[i][0], rules[i][1]);
}

/* The text as a string, in which a NUL cannot stand. */
static lrp_status make_string(const lrp_buffer *b, char **text) {
  size_t bytes = b->length + 1, to = 0;

  for (size_t i = 0; i < b->length; i++) bytes += b->data[i] ? 0 : 2;
  *text = malloc(bytes);
  if (!*text) return lrp_fail_memory(bytes, "a decoded text");
  for (size_t i = 0; i < b->length; i++) {
    if (b->data[i]) {
      (*text)[to++] = b->data[i];
    } else {
      memcpy(*text + to, "\xef\xbf\xbd", 3);
      to += 3;
    }
  }
  (*text)[to] = '\0';
  return LRP_OK;
}

lrp_status lrp_rules_decode(const lrp_rules *r, const int32_t *ids, int64_t count, char **text) {
  lrp_parts parts = {0};
  lrp_status st;

  *text = NULL;
  st = collect(r, ids, count, &parts);
  if (st == LRP_OK && parts.count > 0) st = lrp_decoder_run(&r->decoder, &parts);
  if (st == LRP_OK && r->clean_up) clean_up(&parts.text);
  if (st == LRP_OK) st = make_string(&parts.text, text);
  lrp_parts_free(&parts);
  return st;
}
