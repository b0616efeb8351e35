#include "io/tokenizer/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/byte_level.h"
#include "io/tokenizer/vocab.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* ---- Steps and parts ------------------------------------------------------------------------- */

static lrp_status add_step(lrp_decoder *d, const lrp_decoder_step *step) {
  const size_t bytes = ((size_t)d->count + 1) * sizeof *d->steps;
  lrp_decoder_step *steps = realloc(d->steps, bytes);

  if (!steps) return lrp_fail_memory(bytes, "a decoder");
  d->steps = steps;
  d->steps[d->count++] = *step;
  return LRP_OK;
}

lrp_status lrp_decoder_add(lrp_decoder *d, const lrp_decoder_step *step, const char *content,
                           size_t length) {
  lrp_decoder_step own = *step;

  own.length = length;
  own.content = lrp_bytes_copy(content, length, "a decoder");
  const lrp_status st = own.content ? add_step(d, &own) : LRP_ERR_MEM;
  if (st != LRP_OK) {
    free(own.content);
    lrp_matcher_free(&own.matcher);
  }
  return st;
}

void lrp_decoder_free(lrp_decoder *d) {
  for (int i = 0; i < d->count; i++) {
    lrp_matcher_free(&d->steps[i].matcher);
    free(d->steps[i].content);
  }
  free(d->steps);
  memset(d, 0, sizeof *d);
}

void lrp_parts_free(lrp_parts *p) {
  free(p->text.data);
  free(p->ends);
  memset(p, 0, sizeof *p);
}

/* What was appended to the text since the last part becomes one. */
static lrp_status end_part(lrp_parts *p) {
  if (p->count == p->capacity) {
    const int64_t capacity = p->capacity > 0 ? 2 * p->capacity : 64;
    size_t *ends = realloc(p->ends, (size_t)capacity * sizeof *ends);
    if (!ends) return lrp_fail_memory((size_t)capacity * sizeof *ends, "a decoded text");
    p->ends = ends;
    p->capacity = capacity;
  }
  p->ends[p->count++] = p->text.length;
  return LRP_OK;
}

lrp_status lrp_parts_push(lrp_parts *p, const char *text, size_t length) {
  const lrp_status st = lrp_buffer_append(&p->text, text, length);
  return st == LRP_OK ? end_part(p) : st;
}

/* ---- All parts at once ----------------------------------------------------------------------- */

/* Bytes of the sequence that starts a text that is not UTF-8 there: what could still have become a
 * character (Unicode 3.9, "maximal subpart"), which Rust and Python replace as one. */
static size_t broken_length(const char *text, size_t length) {
  const unsigned char *b = (const unsigned char *)text;
  unsigned char low = 0x80, high = 0xbf;
  size_t wanted = 1, n = 1;

  if (b[0] >= 0xc2 && b[0] <= 0xdf) wanted = 2;
  if (b[0] >= 0xe0 && b[0] <= 0xef) wanted = 3;
  if (b[0] >= 0xf0 && b[0] <= 0xf4) wanted = 4;
  if (b[0] == 0xe0) low = 0xa0;
  if (b[0] == 0xed) high = 0x9f;
  if (b[0] == 0xf0) low = 0x90;
  if (b[0] == 0xf4) high = 0x8f;
  while (n < wanted && n < length && b[n] >= low && b[n] <= high) {
    low = 0x80;
    high = 0xbf;
    n++;
  }
  return n;
}

static lrp_status append_lossy(const char *text, size_t length, lrp_buffer *out) {
  lrp_status st = LRP_OK;

  for (size_t at = 0; at < length && st == LRP_OK;) {
    size_t end = at, used;
    while (end < length && (used = lrp_utf8_length(text + end, length - end)) > 0) end += used;
    st = lrp_buffer_append(out, text + at, end - at);
    if (st == LRP_OK && end < length) {
      st = lrp_buffer_append(out, replacement, 3);
      end += broken_length(text + end, length - end);
    }
    at = end;
  }
  return st;
}

static lrp_status decode_bytes(const lrp_parts *in, lrp_parts *out) {
  lrp_buffer bytes = {0};
  size_t at = 0;
  lrp_status st = LRP_OK;

  for (int64_t i = 0; i < in->count && st == LRP_OK; i++) {
    st = lrp_characters_to_bytes(in->text.data + at, in->ends[i] - at, &bytes);
    at = in->ends[i];
  }
  if (st == LRP_OK) st = append_lossy(bytes.data, bytes.length, &out->text);
  free(bytes.data);
  return st == LRP_OK ? end_part(out) : st;
}

/* End a row of byte tokens, which starts at start: n bytes that are not UTF-8 become n times
 * U+FFFD. */
static lrp_status end_row(lrp_parts *out, size_t start) {
  const size_t n = out->text.length - start;
  lrp_status st = LRP_OK;

  if (n == 0) return LRP_OK;
  if (lrp_utf8_valid(out->text.data + start, n)) return end_part(out);
  out->text.length = start;
  for (size_t i = 0; i < n && st == LRP_OK; i++) st = lrp_parts_push(out, replacement, 3);
  return st;
}

static lrp_status decode_byte_fallback(const lrp_parts *in, lrp_parts *out) {
  size_t at = 0, row = 0;
  lrp_status st = LRP_OK;

  for (int64_t i = 0; i < in->count && st == LRP_OK; i++) {
    const char *part = in->text.data + at;
    const size_t length = in->ends[i] - at;
    const int byte = lrp_any_byte_value(part, length);
    const char one = (char)byte;
    at = in->ends[i];
    if (byte >= 0) {
      st = lrp_buffer_append(&out->text, &one, 1);
      continue;
    }
    st = end_row(out, row);
    if (st == LRP_OK) st = lrp_parts_push(out, part, length);
    row = out->text.length;
  }
  return st == LRP_OK ? end_row(out, row) : st;
}

/* ---- Part by part ---------------------------------------------------------------------------- */

static bool is_content(const lrp_decoder_step *step, const char *text, size_t left) {
  return step->length > 0 && left >= step->length && memcmp(text, step->content, step->length) == 0;
}

static lrp_status strip(const lrp_decoder_step *step, const char *text, size_t length,
                        lrp_parts *out) {
  const size_t n = step->length;

  for (int64_t i = 0; i < step->start && is_content(step, text, length); i++) {
    text += n;
    length -= n;
  }
  for (int64_t i = 0; i < step->stop && length >= n; i++) {
    if (!is_content(step, text + length - n, n)) break;
    length -= n;
  }
  return lrp_parts_push(out, text, length);
}

static lrp_status replace(const lrp_decoder_step *step, lrp_match_walk *walk, const char *text,
                          size_t length, const char *content, size_t content_length,
                          lrp_parts *out) {
  const lrp_status st = lrp_buffer_append_replaced(&out->text, walk, &step->matcher, text, length,
                                                   content, content_length);
  return st == LRP_OK ? end_part(out) : st;
}

static lrp_status decode_part(const lrp_decoder_step *step, lrp_match_walk *walk,
                              const lrp_parts *in, int64_t i, lrp_parts *out) {
  const size_t at = i > 0 ? in->ends[i - 1] : 0;
  const char *text = in->text.data + at;
  const size_t length = in->ends[i] - at;

  switch (step->kind) {
    case LRP_DECODE_STRIP:
      return strip(step, text, length, out);
    case LRP_DECODE_MARKS:
      return replace(step, walk, text, length, " ", i > 0 || step->keep_first ? 1 : 0, out);
    case LRP_DECODE_SUFFIX:
      return replace(step, walk, text, length, " ", i + 1 < in->count ? 1 : 0, out);
    default:
      return replace(step, walk, text, length, step->content, step->length, out);
  }
}

static lrp_status take_step(const lrp_decoder_step *step, lrp_match_walk *walk, const lrp_parts *in,
                            lrp_parts *out) {
  lrp_status st = LRP_OK;

  switch (step->kind) {
    case LRP_DECODE_BYTES:
      return decode_bytes(in, out);
    case LRP_DECODE_BYTE_FALLBACK:
      return decode_byte_fallback(in, out);
    case LRP_DECODE_FUSE:
      return lrp_parts_push(out, in->text.data, in->text.length);
    default:
      for (int64_t i = 0; i < in->count && st == LRP_OK; i++) {
        st = decode_part(step, walk, in, i, out);
      }
      return st;
  }
}

lrp_status lrp_decoder_run(const lrp_decoder *d, lrp_parts *p) {
  lrp_match_walk walk = {0};
  lrp_parts out = {0};
  lrp_status st = LRP_OK;

  for (int i = 0; i < d->count && st == LRP_OK; i++) {
    const lrp_parts old = *p;
    out.text.length = 0;
    out.count = 0;
    st = take_step(&d->steps[i], &walk, p, &out);
    *p = out;
    out = old;
  }
  lrp_match_walk_free(&walk);
  lrp_parts_free(&out);
  return st;
}
