#include "io/tokenizer/byte_level.h"

#include "io/tokenizer/characters.h"

enum { first_substitute = 0x100, n_substitutes = 68 };

static bool is_itself(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* Number of bytes below this one that are not themselves. */
static int substitutes_below(int byte) {
  if (byte < 33) return byte;
  if (byte < 161) return 33 + (byte - 127);
  return n_substitutes - 1; /* 173, the last one */
}

lrp_status lrp_bytes_to_characters(const char *bytes, size_t length, lrp_buffer *out) {
  lrp_status st = LRP_OK;

  for (size_t i = 0; i < length && st == LRP_OK; i++) {
    const int byte = (unsigned char)bytes[i];
    const int c = is_itself(byte) ? byte : first_substitute + substitutes_below(byte);
    const char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
    st = c < 0x80 ? lrp_buffer_append(out, bytes + i, 1) : lrp_buffer_append(out, two, 2);
  }
  return st;
}

/* The byte that a character stands for, or -1. */
static int byte_of(int c) {
  const int n = c - first_substitute;

  if (c < 0x100) return c >= 0 && is_itself(c) ? c : -1;
  if (n >= n_substitutes) return -1;
  if (n < 33) return n;
  return n == n_substitutes - 1 ? 173 : 127 + (n - 33);
}

lrp_status lrp_characters_to_bytes(const char *text, size_t length, lrp_buffer *out) {
  const size_t before = out->length;
  size_t used;
  lrp_status st = LRP_OK;

  for (size_t at = 0; at < length && st == LRP_OK; at += used) {
    const int byte = byte_of(lrp_character_at(text, length, at, &used));
    const char one = (char)byte;
    if (byte < 0) {
      out->length = before;
      return lrp_buffer_append(out, text, length);
    }
    st = lrp_buffer_append(out, &one, 1);
  }
  return st;
}
