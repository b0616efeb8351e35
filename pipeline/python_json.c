#include "pipeline/python_json.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Digits after the point of d.ddde+xx that x needs: the first count that reads back as x. Any 15
 * digits survive a normal double (DBL_DIG), so where 15 do not read back, fewer do not either. */
static int shortest_digits(double x, char text[lrp_repr_max]) {
  int digits = 0;
  snprintf(text, lrp_repr_max, "%.*e", DBL_DIG - 1, x);
  if (isnormal(x) && strtod(text, NULL) != x) digits = DBL_DIG;
  do {
    snprintf(text, lrp_repr_max, "%.*e", digits, x);
  } while (strtod(text, NULL) != x && ++digits < 17);
  return digits;
}

void lrp_python_repr(double x, char text[lrp_repr_max]) {
  if (isnan(x)) {
    strcpy(text, "nan");
    return;
  }
  if (isinf(x)) {
    strcpy(text, x < 0 ? "-inf" : "inf");
    return;
  }
  const int digits = shortest_digits(x, text);
  const int exponent = atoi(strchr(text, 'e') + 1);
  if (exponent < -4 || exponent >= 16) return; /* C and Python write e-05 and e+16 alike */
  const int decimals = digits > exponent ? digits - exponent : 1;
  snprintf(text, lrp_repr_max, "%.*f", decimals, x);
}

/* What a character of a string is replaced by, NULL if it stays. hex: room for a \u escape. */
static const char *escaped(unsigned char c, char hex[8]) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      if (c >= 0x20) return NULL;
      snprintf(hex, 8, "\\u%04x", (unsigned)c);
      return hex;
  }
}

void lrp_python_json_string(FILE *out, const char *text, size_t length) {
  size_t done = 0;
  char hex[8];

  putc('"', out);
  for (size_t i = 0; i < length; i++) {
    const char *escape = escaped((unsigned char)text[i], hex);
    if (!escape) continue;
    fwrite(text + done, 1, i - done, out);
    fputs(escape, out);
    done = i + 1;
  }
  fwrite(text + done, 1, length - done, out);
  putc('"', out);
}

static void write_real(FILE *out, double x) {
  char text[lrp_repr_max];
  lrp_python_repr(x, text);
  fputs(text, out);
}

static void write_value(FILE *out, const json_t *value, int indent, int depth);

/* What stands in front of an item: a comma but for the first, and a new line or a space. */
static void write_separator(FILE *out, bool first, int indent, int depth) {
  if (!first) fputs(indent < 0 ? ", " : ",", out);
  if (indent < 0) return;
  putc('\n', out);
  for (int i = 0; i < indent * depth; i++) putc(' ', out);
}

static void write_array(FILE *out, const json_t *array, int indent, int depth) {
  const size_t n = json_array_size(array);

  putc('[', out);
  for (size_t i = 0; i < n; i++) {
    write_separator(out, i == 0, indent, depth + 1);
    write_value(out, json_array_get(array, i), indent, depth + 1);
  }
  if (n > 0) write_separator(out, true, indent, depth);
  putc(']', out);
}

static void write_object(FILE *out, const json_t *object, int indent, int depth) {
  json_t *iterated = (json_t *)(uintptr_t)object; /* jansson iterates non-const objects only */
  const char *key;
  json_t *item;
  bool first = true;

  putc('{', out);
  json_object_foreach(iterated, key, item) {
    write_separator(out, first, indent, depth + 1);
    lrp_python_json_string(out, key, strlen(key));
    fputs(": ", out);
    write_value(out, item, indent, depth + 1);
    first = false;
  }
  if (!first) write_separator(out, true, indent, depth);
  putc('}', out);
}

static void write_value(FILE *out, const json_t *value, int indent, int depth) {
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      write_object(out, value, indent, depth);
      break;
    case JSON_ARRAY:
      write_array(out, value, indent, depth);
      break;
    case JSON_STRING:
      lrp_python_json_string(out, json_string_value(value), json_string_length(value));
      break;
    case JSON_INTEGER:
      fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
      break;
    case JSON_REAL:
      write_real(out, json_real_value(value));
      break;
    case JSON_TRUE:
      fputs("true", out);
      break;
    case JSON_FALSE:
      fputs("false", out);
      break;
    case JSON_NULL:
      fputs("null", out);
      break;
  }
}

void lrp_python_json(FILE *out, const json_t *value, int indent) {
  write_value(out, value, indent, 0);
}
