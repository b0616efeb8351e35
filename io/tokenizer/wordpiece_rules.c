#include "io/tokenizer/wordpiece_rules.h"

#include <stdlib.h>
#include <string.h>

enum { default_max_characters = 100 };

lrp_status lrp_wordpiece_rules_init(lrp_wordpiece_rules *r) {
  static const char prefix[] = "##";
  memset(r, 0, sizeof *r);
  lrp_rules_init(&r->common);
  r->glyphs = (lrp_glyph_rules){.clean = true, .chinese = true, .lower = true};
  r->strip = LRP_STRIP_AS_LOWER;
  r->max_characters = default_max_characters;
  r->cls = r->sep = r->mask = -1;
  r->prefix = strdup(prefix);
  r->prefix_length = strlen(prefix);
  return r->prefix ? LRP_OK : lrp_fail_memory(sizeof prefix, "a prefix of pieces");
}

void lrp_wordpiece_rules_free(lrp_wordpiece_rules *r) {
  free(r->prefix);
  lrp_rules_free(&r->common);
  memset(r, 0, sizeof *r);
}

/* Bytes of the line that text starts with, its end included; *piece: those of the piece. */
static size_t line_length(const char *text, size_t length, size_t *piece) {
  const char *newline = memchr(text, '\n', length);
  const size_t used = newline ? (size_t)(newline - text) + 1 : length;
  *piece = newline ? used - 1 : used;
  if (*piece > 0 && text[*piece - 1] == '\r') --*piece;
  return used;
}

lrp_status lrp_vocab_txt_read(char *data, size_t size, const char *file, lrp_wordpiece_rules *r) {
  lrp_vocab *v = &r->common.vocab;
  int64_t id = 0;
  lrp_status st = LRP_OK;

  v->data = data;
  if (!lrp_utf8_valid(data, size)) {
    return lrp_fail(LRP_ERR_DATA, "%s: not UTF-8; the file is damaged, fetch it again", file);
  }
  for (size_t at = 0; at < size && st == LRP_OK; id++) {
    size_t length;
    const size_t used = line_length(data + at, size - at, &length);
    const lrp_piece piece = {
        .text = data + at, .length = (uint32_t)length, .type = LRP_PIECE_NORMAL, .mergeable = true};
    st = lrp_vocab_put(v, id, &piece, file);
    at += used;
  }
  if (st != LRP_OK || id > 0) return st;
  return lrp_fail(LRP_ERR_DATA, "%s: holds no pieces; fetch it again", file);
}
