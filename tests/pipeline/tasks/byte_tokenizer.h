/* One token per byte instead of the real tokenizer, whose functions this file defines: its ids show
 * where texts were cut. Include after cmocka.h. */
#ifndef LRP_TESTS_BYTE_TOKENIZER_H
#define LRP_TESTS_BYTE_TOKENIZER_H

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/tokenizer.h"

enum { bos = 1, eos = 2, merged = 1000 };

static int32_t fake_bos = bos;
static int32_t fake_eos = eos;
static const char *fake_merge; /* this text is one token */
static const char *fake_eos_text = "\x02";

static void append(lrp_tokens *out, int32_t id) {
  if (out->count == out->capacity) {
    out->capacity = 2 * out->capacity + 8;
    out->ids = realloc(out->ids, (size_t)out->capacity * sizeof *out->ids);
    assert_non_null(out->ids);
  }
  out->ids[out->count++] = id;
}

lrp_status lrp_tokenizer_encode(const lrp_tokenizer *tok, const char *text, size_t length,
                                bool special, lrp_tokens *out) {
  (void)tok;
  if (special && fake_bos >= 0) append(out, fake_bos);
  for (size_t i = 0; i < length; i++) {
    const size_t n = fake_merge ? strlen(fake_merge) : 0;
    if (n > 0 && i + n <= length && memcmp(text + i, fake_merge, n) == 0) {
      append(out, merged);
      i += n - 1;
    } else if (text[i] == '\x01') { /* the text of BOS */
      append(out, bos);
    } else {
      append(out, (unsigned char)text[i]);
    }
  }
  return LRP_OK;
}

int32_t lrp_tokenizer_bos(const lrp_tokenizer *tok) {
  (void)tok;
  return fake_bos;
}

int32_t lrp_tokenizer_eos(const lrp_tokenizer *tok) {
  (void)tok;
  return fake_eos;
}

const char *lrp_tokenizer_eos_text(const lrp_tokenizer *tok) {
  (void)tok;
  return fake_eos >= 0 ? fake_eos_text : NULL;
}

/* BOS, EOS and what is no byte are skipped. */
lrp_status lrp_tokenizer_decode(const lrp_tokenizer *tok, const int32_t *ids, int64_t count,
                                char **text) {
  size_t used = 0;
  (void)tok;
  *text = calloc((size_t)count + 1, 1);
  assert_non_null(*text);
  for (int64_t i = 0; i < count; i++) {
    if (ids[i] > eos && ids[i] < 256) (*text)[used++] = (char)ids[i];
  }
  return LRP_OK;
}

const char *lrp_tokenizer_file(const lrp_tokenizer *tok) {
  (void)tok;
  return "fake.model";
}

void lrp_tokens_free(lrp_tokens *t) {
  free(t->ids);
  *t = (lrp_tokens){0};
}

#endif
