#include "io/tokenizer/characters.h"

#include <utf8proc.h>

#include "io/tokenizer/unicode_age.h"

bool lrp_is_space(int32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

bool lrp_is_mark(int32_t c) {
  const utf8proc_category_t category = utf8proc_category(c);
  if (c == 0x1cf2 || c == 0x1cf3) return true; /* letters since Unicode 12 */
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME &&
         !lrp_is_newer_mark(c);
}

bool lrp_is_number(int32_t c) {
  const utf8proc_category_t category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool lrp_is_word(int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    case UTF8PROC_CATEGORY_SO: /* enclosed letters */
      return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
             (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
    default:
      return c == 0x200c || c == 0x200d;
  }
}

bool lrp_is_punctuation(int32_t c) {
  if (c < 0x80) {
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
  }
  const utf8proc_category_t category = utf8proc_category(c);
  if (c == 0x166d || c == 0x111c9) return true; /* it was, once */
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO &&
         !lrp_is_newer_punctuation(c);
}

int32_t lrp_character_at(const char *text, size_t length, size_t at, size_t *used) {
  const size_t left = length - at < 4 ? length - at : 4;
  utf8proc_int32_t c = -1;
  utf8proc_ssize_t n;

  *used = 1;
  if ((unsigned char)text[at] < 0x80) return (unsigned char)text[at];
  n = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)left, &c);
  if (n <= 0) return -1;
  *used = (size_t)n;
  return c;
}

int32_t lrp_character_before(const char *text, size_t at, size_t *used) {
  size_t n = 1, got;
  int32_t c;

  while (n < 4 && n < at && ((unsigned char)text[at - n] & 0xc0) == 0x80) n++;
  c = lrp_character_at(text, at, at - n, &got);
  *used = n;
  return got == n ? c : -1;
}
