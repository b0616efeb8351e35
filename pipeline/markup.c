#include "pipeline/markup.h"

#include <math.h>
#include <string.h>

#define MINUS    "\xe2\x88\x92" /* U+2212 */
#define INFINITE "\xe2\x88\x9e" /* U+221E */

void lrp_markup_text(FILE *f, const char *text) {
  for (const char *p = text; p && *p; p++) {
    const unsigned char c = (unsigned char)*p;
    if (c == '<') {
      fputs("&lt;", f);
    } else if (c == '>') {
      fputs("&gt;", f);
    } else if (c == '&') {
      fputs("&amp;", f);
    } else if (c == '"') {
      fputs("&quot;", f);
    } else if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) {
      fputs("\xef\xbf\xbd", f);
    } else {
      fputc(c, f);
    }
  }
}

/* The hyphen of a negative number becomes a minus sign; "-0.00" loses it. */
static const char *with_minus(char text[LRP_MARKUP_NUMBER], const char *number) {
  if (*number != '-') {
    snprintf(text, LRP_MARKUP_NUMBER, "%s", number);
  } else if (strspn(number, "-0.") == strlen(number)) {
    snprintf(text, LRP_MARKUP_NUMBER, "%s", number + 1);
  } else {
    snprintf(text, LRP_MARKUP_NUMBER, MINUS "%s", number + 1);
  }
  return text;
}

const char *lrp_markup_fixed(char text[LRP_MARKUP_NUMBER], double x, int decimals) {
  char number[LRP_MARKUP_NUMBER - 3];
  if (!isfinite(x)) return with_minus(text, isnan(x) ? "" : x > 0 ? INFINITE : "-" INFINITE);
  if (fabs(x) >= 1e15) {
    snprintf(number, sizeof number, "%.3g", x);
  } else {
    snprintf(number, sizeof number, "%.*f", decimals, x);
  }
  return with_minus(text, number);
}

const char *lrp_markup_digits(char text[LRP_MARKUP_NUMBER], double x, int digits) {
  const double size = fabs(x);
  char number[LRP_MARKUP_NUMBER - 3];

  if (!isfinite(x)) return lrp_markup_fixed(text, x, 0);
  if (size != 0.0 && (size < 1e-4 || size >= 1e7)) {
    snprintf(number, sizeof number, "%.*e", digits - 1, x);
    return with_minus(text, number);
  }
  const int before = size >= 1.0 ? (int)floor(log10(size)) + 1 : 0;
  const int zeros = size > 0.0 && size < 1.0 ? (int)floor(-log10(size)) : 0; /* behind the point */
  const int decimals = digits - before + zeros;
  snprintf(number, sizeof number, "%.*f", decimals > 0 ? decimals : 0, x);
  if (strchr(number, '.')) {
    char *end = number + strlen(number) - 1;
    while (*end == '0') *end-- = '\0';
    if (*end == '.') *end = '\0';
  }
  return with_minus(text, number);
}

const char *lrp_markup_count(char text[LRP_MARKUP_NUMBER], int64_t n) {
  char digits[24], *out = text;
  snprintf(digits, sizeof digits, "%lld", (long long)n);
  for (const char *p = digits; *p; p++) {
    const size_t left = strlen(p);
    *out++ = *p;
    if (*p != '-' && left > 1 && left % 3 == 1) *out++ = ',';
  }
  *out = '\0';
  return text;
}

const char *lrp_markup_unit(char text[LRP_MARKUP_NUMBER], double x, const char *unit) {
  static const struct {
    double size;
    const char *prefix;
  } prefixes[] = {{1e15, "P"}, {1e12, "T"}, {1e9, "G"},         {1e6, "M"}, {1e3, "k"},
                  {1.0, ""},   {1e-3, "m"}, {1e-6, "\xc2\xb5"}, {1e-9, "n"}};
  enum { n = sizeof prefixes / sizeof *prefixes, one = 5 };
  char number[LRP_MARKUP_NUMBER], all[LRP_MARKUP_NUMBER + 24];
  int i = 0;

  if (!isfinite(x)) return lrp_markup_fixed(text, x, 0);
  while (i < n - 1 && fabs(x) < 0.9995 * prefixes[i].size) i++;
  if (x == 0.0) i = one;
  if (strcmp(unit, "B") == 0 && i > one) i = one; /* bytes are whole */
  lrp_markup_digits(number, x / prefixes[i].size, 3);
  snprintf(all, sizeof all, "%s %s%s", number, prefixes[i].prefix, unit);
  snprintf(text, LRP_MARKUP_NUMBER, "%.*s", LRP_MARKUP_NUMBER - 1, all);
  return text;
}
