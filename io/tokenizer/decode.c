#include "io/tokenizer/decode.h"

#include <stdlib.h>
#include <string.h>

static bool is_mark(const char *text, size_t left) {
  return left >= LRP_SPACE_MARK_LENGTH && memcmp(text, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) == 0;
}

/* Text that grows up to a length known beforehand. */
typedef struct {
  char *data; /* owned */
  size_t length;
  size_t run; /* start of the byte tokens at the end; length if there are none */
} decoder;

/* End a row of byte tokens: n bytes that are not UTF-8 become n times U+FFFD. */
static void end_run(decoder *d) {
  const size_t n = d->length - d->run;

  if (n == 0) return;
  if (!lrp_utf8_valid(d->data + d->run, n)) {
    for (size_t i = 0; i < n; i++) memcpy(d->data + d->run + 3 * i, "\xef\xbf\xbd", 3);
    d->length = d->run + 3 * n;
  }
  d->run = d->length;
}

static void append_text(decoder *d, const char *text, size_t length) {
  end_run(d);
  for (size_t i = 0; i < length;) {
    if (is_mark(text + i, length - i)) {
      d->data[d->length++] = ' ';
      i += LRP_SPACE_MARK_LENGTH;
    } else {
      d->data[d->length++] = text[i++];
    }
  }
  d->run = d->length;
}

static void append_byte(decoder *d, const lrp_piece *piece) {
  char digits[3] = {piece->text[3], piece->text[4], '\0'};
  const char byte = (char)strtoul(digits, NULL, 16);

  if (byte == '\0') {
    append_text(d, "\xef\xbf\xbd", 3);
  } else {
    d->data[d->length++] = byte;
  }
}

static const lrp_piece *visible_piece(const lrp_vocab *v, int32_t id) {
  const lrp_piece *piece;

  if (id < 0 || id >= v->count || id == v->bos || id == v->eos) return NULL;
  piece = &v->pieces[id];
  return piece->type == LRP_PIECE_CONTROL || piece->type == LRP_PIECE_UNKNOWN ? NULL : piece;
}

lrp_status lrp_rules_decode(const lrp_rules *r, const int32_t *ids, int64_t count, char **text) {
  const lrp_vocab *v = &r->vocab;
  decoder d = {0};
  size_t bound = 1;

  *text = NULL;
  for (int64_t i = 0; i < count; i++) {
    const lrp_piece *piece = visible_piece(v, ids[i]);
    if (piece) bound += piece->length; /* of "<0xHH>" 6, of U+FFFD 3 */
  }
  d.data = malloc(bound);
  if (!d.data) return lrp_fail_memory(bound, "a decoded text");
  for (int64_t i = 0; i < count; i++) {
    const lrp_piece *piece = visible_piece(v, ids[i]);
    if (!piece) continue;
    if (piece->type == LRP_PIECE_BYTE) {
      append_byte(&d, piece);
    } else {
      append_text(&d, piece->text, piece->length);
    }
  }
  end_run(&d);
  d.data[d.length] = '\0';
  if (r->strip_space && d.data[0] == ' ') memmove(d.data, d.data + 1, d.length);
  *text = d.data;
  return LRP_OK;
}
