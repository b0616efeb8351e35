#include "io/tokenizer/json_scan.h"

#include <string.h>

#include "io/base/json_memory.h"
#include "io/tokenizer/vocab.h"

enum { depth_max = 64, digits_max = 15 };

static const size_t tree_max = (size_t)1 << 20; /* its tree may take fifty times as much */

lrp_status lrp_json_fail(const lrp_json_file *file, const char *at, const char *what) {
  return lrp_fail(LRP_ERR_DATA, "%s: byte %zu: %s; the file is damaged, fetch it again", file->name,
                  (size_t)(at - file->data), what);
}

bool lrp_json_is(lrp_json_slice characters, const char *text) {
  return characters.text && characters.length == strlen(text) &&
         memcmp(characters.text, text, characters.length) == 0;
}

static bool is_white(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char *skip_white(char *at, const char *end) {
  while (at < end && is_white(*at)) at++;
  return at;
}

/* ---- Where a value ends ---------------------------------------------------------------------- */

/* *at: the first quote; moved behind the last one. */
static lrp_status skip_string(const lrp_json_file *file, char **at, const char *end) {
  const char *start = *at;

  for (char *p = *at + 1; p < end; p++) {
    if ((unsigned char)*p < 0x20) return lrp_json_fail(file, p, "a control character in a string");
    if (*p == '"') {
      *at = p + 1;
      return LRP_OK;
    }
    if (*p == '\\') p++;
  }
  return lrp_json_fail(file, start, "a string has no end");
}

/* Number, true, false, null: looked at when it is read. */
static lrp_status skip_word(const lrp_json_file *file, char **at, const char *end) {
  char *p = *at;

  while (p < end && ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || *p == '-' ||
                     *p == '+' || *p == '.' || *p == 'E')) {
    p++;
  }
  if (p == *at) return lrp_json_fail(file, p, "no JSON value");
  *at = p;
  return LRP_OK;
}

/* Brackets must match; the grammar between them is looked at when the value is walked through. */
static lrp_status skip_brackets(const lrp_json_file *file, char **at, const char *end) {
  const char *start = *at;
  char closers[depth_max];
  int depth = 0;
  char *p = *at;

  while (p < end) {
    if (*p == '"') {
      const lrp_status st = skip_string(file, &p, end);
      if (st != LRP_OK) return st;
      continue;
    }
    if (*p == '{' || *p == '[') {
      if (depth == depth_max) return lrp_json_fail(file, p, "nested too deep");
      closers[depth++] = *p == '{' ? '}' : ']';
    } else if (*p == '}' || *p == ']') {
      if (closers[--depth] != *p) return lrp_json_fail(file, p, "brackets do not match");
      if (depth == 0) {
        *at = p + 1;
        return LRP_OK;
      }
    }
    p++;
  }
  return lrp_json_fail(file, start, "a bracket is not closed");
}

/* The value that *at stands on; moves behind it. */
static lrp_status take_value(const lrp_json_file *file, char **at, const char *end,
                             lrp_json_slice *value) {
  lrp_status st;

  value->text = *at;
  value->length = 0;
  if (*at == end) return lrp_json_fail(file, *at, "a value is missing");
  if (**at == '"') {
    st = skip_string(file, at, end);
  } else if (**at == '{' || **at == '[') {
    st = skip_brackets(file, at, end);
  } else {
    st = skip_word(file, at, end);
  }
  value->length = (size_t)(*at - value->text);
  return st;
}

lrp_status lrp_json_whole(const lrp_json_file *file, char *data, size_t size,
                          lrp_json_slice *value) {
  char *const end = data + size;
  char *at = skip_white(data, end);
  lrp_status st;

  if (!lrp_utf8_valid(data, size)) return lrp_json_fail(file, data, "not UTF-8");
  st = take_value(file, &at, end, value);
  if (st != LRP_OK) return st;
  at = skip_white(at, end);
  return at == end ? LRP_OK : lrp_json_fail(file, at, "something follows the JSON value");
}

/* ---- Walking --------------------------------------------------------------------------------- */

static lrp_status fail_type(const lrp_json_file *file, const char *what, const char *expected) {
  return lrp_fail(LRP_ERR_DATA, "%s: %s: expected %s", file->name, what, expected);
}

lrp_status lrp_json_walk_start(const lrp_json_file *file, lrp_json_slice value, char open,
                               const char *what, lrp_json_walk *walk) {
  if (!value.text || value.text[0] != open) {
    return fail_type(file, what, open == '{' ? "an object" : "an array");
  }
  *walk = (lrp_json_walk){.file = file,
                          .at = value.text + 1,
                          .end = value.text + value.length - 1,
                          .close = open == '{' ? '}' : ']'};
  return LRP_OK;
}

static lrp_status take_name(lrp_json_walk *walk, lrp_json_slice *name) {
  lrp_json_slice quoted;
  lrp_status st;

  if (walk->at == walk->end || *walk->at != '"') {
    return lrp_json_fail(walk->file, walk->at, "expected a name in quotes");
  }
  st = take_value(walk->file, &walk->at, walk->end, &quoted);
  walk->at = skip_white(walk->at, walk->end);
  if (st == LRP_OK && (walk->at == walk->end || *walk->at != ':')) {
    st = lrp_json_fail(walk->file, walk->at, "expected ':'");
  }
  if (st != LRP_OK) return st;
  walk->at = skip_white(walk->at + 1, walk->end);
  return lrp_json_string(walk->file, quoted, "a name", name);
}

lrp_status lrp_json_next(lrp_json_walk *walk, lrp_json_slice *name, lrp_json_slice *value,
                         bool *more) {
  lrp_status st = LRP_OK;

  walk->at = skip_white(walk->at, walk->end);
  *more = walk->at < walk->end;
  if (!*more) return LRP_OK;
  if (walk->started) {
    if (*walk->at != ',') return lrp_json_fail(walk->file, walk->at, "expected ','");
    walk->at = skip_white(walk->at + 1, walk->end);
  }
  walk->started = true;
  if (walk->close == '}') st = take_name(walk, name);
  return st == LRP_OK ? take_value(walk->file, &walk->at, walk->end, value) : st;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *p, const char *end) {
  int32_t value = 0;

  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    const char c = p[i];
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    if (digit < 0) return -1;
    value = 16 * value + digit;
  }
  return value;
}

static char *put_utf8(char *to, int32_t c) {
  if (c < 0x80) {
    *to++ = (char)c;
  } else if (c < 0x800) {
    *to++ = (char)(0xc0 | c >> 6);
    *to++ = (char)(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    *to++ = (char)(0xe0 | c >> 12);
    *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    *to++ = (char)(0x80 | (c & 0x3f));
  } else {
    *to++ = (char)(0xf0 | c >> 18);
    *to++ = (char)(0x80 | (c >> 12 & 0x3f));
    *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    *to++ = (char)(0x80 | (c & 0x3f));
  }
  return to;
}

/* The character of \uXXXX or of a surrogate pair, or -1. *p: behind the 'u'; moved behind it. */
static int32_t unicode_escape(const char **p, const char *end) {
  const int32_t high = hex4(*p, end);
  int32_t low;

  if (high < 0 || (high >= 0xdc00 && high < 0xe000)) return -1;
  *p += 4;
  if (high < 0xd800 || high >= 0xdc00) return high;
  if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u') return -1;
  low = hex4(*p + 2, end);
  if (low < 0xdc00 || low >= 0xe000) return -1;
  *p += 6;
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The character of the escape at *p, which stands behind the backslash, or -1; moves behind it. */
static int32_t escape(const char **p, const char *end) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  const char *found;

  if (*p == end) return -1;
  if (**p == 'u') {
    ++*p;
    return unicode_escape(p, end);
  }
  found = **p ? strchr(letters, **p) : NULL;
  if (!found) return -1;
  ++*p;
  return meanings[found - letters];
}

lrp_status lrp_json_string(const lrp_json_file *file, lrp_json_slice value, const char *what,
                           lrp_json_slice *characters) {
  const char *p, *end;
  char *to;

  if (!value.text || value.text[0] != '"') return fail_type(file, what, "a string");
  p = value.text + 1;
  end = value.text + value.length - 1;
  to = value.text + 1;
  while (p < end) {
    if (*p != '\\') {
      *to++ = *p++;
    } else { /* an escape is never shorter than its character */
      const char *at = p++;
      const int32_t c = escape(&p, end);
      if (c < 0) return lrp_json_fail(file, at, "a bad escape in a string");
      to = put_utf8(to, c);
    }
  }
  *characters = (lrp_json_slice){.text = value.text + 1, .length = (size_t)(to - (value.text + 1))};
  return LRP_OK;
}

lrp_status lrp_json_integer(const lrp_json_file *file, lrp_json_slice value, const char *what,
                            int64_t *integer) {
  const bool negative = value.length > 0 && value.text[0] == '-';
  const size_t first = negative ? 1 : 0;
  int64_t v = 0;

  if (value.length <= first || value.length - first > digits_max ||
      (value.length - first > 1 && value.text[first] == '0')) {
    return fail_type(file, what, "an integer");
  }
  for (size_t i = first; i < value.length; i++) {
    if (value.text[i] < '0' || value.text[i] > '9') return fail_type(file, what, "an integer");
    v = 10 * v + (value.text[i] - '0');
  }
  *integer = negative ? -v : v;
  return LRP_OK;
}

lrp_status lrp_json_tree(const lrp_json_file *file, lrp_json_slice value, const char *what,
                         json_t **tree) {
  json_error_t error;

  *tree = NULL;
  if (!value.text) return LRP_OK;
  if (value.length > tree_max) {
    return lrp_fail(LRP_ERR_DATA, "%s: %s: has %zu bytes, more than %zu", file->name, what,
                    value.length, tree_max);
  }
  *tree = json_loadb(value.text, value.length,
                     JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
  if (*tree) return LRP_OK;
  return lrp_json_checked(lrp_fail(LRP_ERR_DATA, "%s: %s: %s; the file is damaged, fetch it again",
                                   file->name, what, error.text));
}
