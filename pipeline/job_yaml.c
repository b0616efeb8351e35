#include "pipeline/job_yaml.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- messages ---- */

static lrp_status fail_at(const lrp_yaml *y, size_t line, size_t column, const char *message) {
  if (!y->is_file) return lrp_fail(LRP_ERR_JOB, "%s: %s", y->label, message);
  return lrp_fail(LRP_ERR_JOB, "%s:%zu:%zu: %s", y->label, line, column, message);
}

static lrp_status fail_mark(const lrp_yaml *y, yaml_mark_t mark, const char *message) {
  return fail_at(y, mark.line + 1, mark.column + 1, message);
}

lrp_status lrp_yaml_fail(const lrp_yaml *y, const yaml_node_t *node, const char *fmt, ...) {
  char message[1024];
  va_list ap;

  va_start(ap, fmt);
  vsnprintf(message, sizeof message, fmt, ap);
  va_end(ap);
  return fail_mark(y, node->start_mark, message);
}

char *lrp_yaml_origin(const lrp_yaml *y, const yaml_node_t *node) {
  char *text = NULL;
  const int n = y->is_file ? asprintf(&text, "%s:%zu", y->label, node->start_mark.line + 1)
                           : asprintf(&text, "%s", y->label);

  if (n >= 0) return text;
  lrp_fail_memory(strlen(y->label) + 24, "the origin of a job's key");
  return NULL;
}

const char *lrp_yaml_describe(const yaml_node_t *node, char text[LRP_YAML_TEXT]) {
  enum { shown = 40 };
  size_t length;

  if (lrp_yaml_is_map(node)) return "a map";
  if (lrp_yaml_is_list(node)) return "a list";
  if (lrp_yaml_is_null(node)) return "null";
  length = node->data.scalar.length;
  if (length > shown) {
    length = shown;
    while (length > 0 && (node->data.scalar.value[length] & 0xc0) == 0x80) length--;
  }
  snprintf(text, LRP_YAML_TEXT, "'%.*s%s'", (int)length, (const char *)node->data.scalar.value,
           length < node->data.scalar.length ? "..." : "");
  return text;
}

/* ---- loading ---- */

/* Characters that a job does without, raw or escaped: controls, what YAML takes for a line break
 * besides LF and CR, byte order marks, noncharacters. So a string is one line wherever it goes. */
static bool is_forbidden(utf8proc_int32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
         c == 0xfffe || c == 0xffff;
}

/* Encoding and forbidden characters, before the parser sees a byte: it takes tabs and UTF-16. */
static lrp_status check_characters(const lrp_yaml *y, const char *text, size_t size) {
  const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
  size_t line = 1, column = 1;

  for (size_t at = 0; at < size;) {
    utf8proc_int32_t c;
    const utf8proc_ssize_t n = utf8proc_iterate(p + at, (utf8proc_ssize_t)(size - at), &c);
    if (n < 1) return fail_at(y, line, column, "not valid UTF-8; save the job as UTF-8");
    if (c == '\t') return fail_at(y, line, column, "a tab character; use spaces");
    if (is_forbidden(c) && c != '\n' && c != '\r') {
      return fail_at(y, line, column, "a control character");
    }
    at += (size_t)n;
    if (c == '\n' || (c == '\r' && !(at < size && text[at] == '\n'))) {
      line++;
      column = 1;
    } else {
      column++;
    }
  }
  return LRP_OK;
}

static lrp_status fail_parser(const lrp_yaml *y, const yaml_parser_t *parser) {
  char message[256];

  /* No error at all: the loader has no word for its own memory. */
  if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_NO_ERROR) {
    return lrp_fail_memory(sizeof *parser, "the parser of the job");
  }
  snprintf(message, sizeof message, "not valid YAML: %s",
           parser->problem ? parser->problem : "unknown problem");
  if (parser->error == YAML_READER_ERROR) return fail_mark(y, parser->mark, message);
  return fail_mark(y, parser->problem_mark, message);
}

static bool is_start(const yaml_event_t *e) {
  return e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT;
}

static bool is_end(const yaml_event_t *e) {
  return e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT;
}

static bool has_anchor(const yaml_event_t *e) {
  if (e->type == YAML_SCALAR_EVENT) return e->data.scalar.anchor != NULL;
  if (e->type == YAML_SEQUENCE_START_EVENT) return e->data.sequence_start.anchor != NULL;
  return e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor != NULL;
}

static bool has_tag(const yaml_event_t *e) {
  if (e->type == YAML_SCALAR_EVENT) return e->data.scalar.tag != NULL;
  if (e->type == YAML_SEQUENCE_START_EVENT) return e->data.sequence_start.tag != NULL;
  return e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.tag != NULL;
}

static lrp_status check_event(const lrp_yaml *y, const yaml_event_t *e, int *documents,
                              int *depth) {
  const char *problem = NULL;

  if (e->type == YAML_DOCUMENT_START_EVENT) (*documents)++;
  if (is_start(e)) (*depth)++;
  if (is_end(e)) (*depth)--;
  if (*documents > 1) problem = "a second document; a job is one document";
  if (*depth > LRP_YAML_MAX_DEPTH) problem = "nested too deeply";
  if (e->type == YAML_ALIAS_EVENT) problem = "an alias (*name); write the value out";
  if (has_anchor(e)) problem = "an anchor (&name); write the value out";
  if (has_tag(e)) problem = "a tag (!name); types follow from the keys";
  return problem ? fail_mark(y, e->start_mark, problem) : LRP_OK;
}

static lrp_status start_parser(yaml_parser_t *parser, const char *text, size_t size) {
  if (!yaml_parser_initialize(parser)) return lrp_fail_memory(sizeof *parser, "the job's parser");
  yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(parser, (const unsigned char *)text, size);
  return LRP_OK;
}

/* What a loaded document no longer shows is checked on the events: aliases, anchors, tags. */
static lrp_status check_events(const lrp_yaml *y, const char *text, size_t size) {
  yaml_parser_t parser;
  yaml_event_t event;
  int documents = 0, depth = 0;
  bool end = false;
  lrp_status st = start_parser(&parser, text, size);

  if (st != LRP_OK) return st;
  while (st == LRP_OK && !end) {
    if (!yaml_parser_parse(&parser, &event)) {
      st = fail_parser(y, &parser);
      break;
    }
    end = event.type == YAML_STREAM_END_EVENT;
    st = check_event(y, &event, &documents, &depth);
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return st;
}

static lrp_status load_document(lrp_yaml *y, const char *text, size_t size) {
  yaml_parser_t parser;
  lrp_status st = start_parser(&parser, text, size);

  if (st != LRP_OK) return st;
  if (yaml_parser_load(&parser, &y->document)) {
    y->loaded = true;
  } else {
    st = fail_parser(y, &parser);
  }
  yaml_parser_delete(&parser);
  return st;
}

lrp_status lrp_yaml_load(const char *label, bool is_file, const char *text, size_t size,
                         lrp_yaml *out) {
  static const char bom[] = "\xef\xbb\xbf"; /* some editors write one */
  lrp_yaml y = {.label = label, .is_file = is_file};
  lrp_status st = LRP_OK;

  memset(out, 0, sizeof *out);
  if (size > LRP_YAML_MAX_BYTES) st = fail_at(&y, 1, 1, "larger than 1 MiB; is this a job?");
  if (size >= strlen(bom) && memcmp(text, bom, strlen(bom)) == 0) {
    text += strlen(bom);
    size -= strlen(bom);
  }
  if (st == LRP_OK) st = check_characters(&y, text, size);
  if (st == LRP_OK) st = check_events(&y, text, size);
  if (st == LRP_OK) st = load_document(&y, text, size);
  if (st == LRP_OK && !yaml_document_get_root_node(&y.document)) {
    lrp_yaml_free(&y);
    if (!is_file) return lrp_yaml_load(label, false, "null", strlen("null"), out);
    st = fail_at(&y, 1, 1, "empty; a job is a map of keys (model: ..., output: ...)");
  }
  if (st == LRP_OK) *out = y;
  return st;
}

void lrp_yaml_free(lrp_yaml *y) {
  if (y->loaded) yaml_document_delete(&y->document);
  y->loaded = false;
}

/* ---- nodes ---- */

const yaml_node_t *lrp_yaml_root(const lrp_yaml *y) {
  return y->document.nodes.start;
}

static const yaml_node_t *node_of(const lrp_yaml *y, int id) {
  return y->document.nodes.start + (id - 1);
}

bool lrp_yaml_is_list(const yaml_node_t *node) {
  return node->type == YAML_SEQUENCE_NODE;
}

bool lrp_yaml_is_map(const yaml_node_t *node) {
  return node->type == YAML_MAPPING_NODE;
}

int lrp_yaml_list_size(const yaml_node_t *node) {
  return (int)(node->data.sequence.items.top - node->data.sequence.items.start);
}

int lrp_yaml_map_size(const yaml_node_t *node) {
  return (int)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

const yaml_node_t *lrp_yaml_item(const lrp_yaml *y, const yaml_node_t *list, int i) {
  return node_of(y, list->data.sequence.items.start[i]);
}

const yaml_node_t *lrp_yaml_map_key(const lrp_yaml *y, const yaml_node_t *map, int i) {
  return node_of(y, map->data.mapping.pairs.start[i].key);
}

const yaml_node_t *lrp_yaml_map_value(const lrp_yaml *y, const yaml_node_t *map, int i) {
  return node_of(y, map->data.mapping.pairs.start[i].value);
}

/* ---- scalars ---- */

/* The text of a plain (unquoted) scalar, or NULL. */
static const char *plain(const yaml_node_t *node) {
  if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
    return NULL;
  }
  return (const char *)node->data.scalar.value;
}

static bool is_any(const char *text, const char *const *words, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (strcmp(text, words[i]) == 0) return true;
  }
  return false;
}

bool lrp_yaml_is_null(const yaml_node_t *node) {
  static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
  const char *text = plain(node);
  return text && is_any(text, nulls, sizeof nulls / sizeof nulls[0]);
}

static bool is_boolean(const yaml_node_t *node) {
  static const char *const booleans[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
  const char *text = plain(node);
  return text && is_any(text, booleans, sizeof booleans / sizeof booleans[0]);
}

static size_t digits(const char *text) {
  return strspn(text, "0123456789");
}

static bool is_integer(const yaml_node_t *node) {
  const char *text = plain(node);

  if (!text) return false;
  if (*text == '-' || *text == '+') text++;
  return *text && text[digits(text)] == '\0';
}

static bool is_number(const yaml_node_t *node) {
  const char *p = plain(node);
  size_t n;

  if (!p) return false;
  if (*p == '-' || *p == '+') p++;
  n = digits(p);
  p += n;
  if (*p == '.') {
    p++;
    n += digits(p);
    p += digits(p);
  }
  if (n == 0) return false;
  if (*p == 'e' || *p == 'E') {
    p++;
    if (*p == '-' || *p == '+') p++;
    if (digits(p) == 0) return false;
    p += digits(p);
  }
  return *p == '\0';
}

bool lrp_yaml_is_word(const yaml_node_t *node, const char *word) {
  return node->type == YAML_SCALAR_NODE && node->data.scalar.length == strlen(word) &&
         memcmp(node->data.scalar.value, word, node->data.scalar.length) == 0;
}

static bool has_forbidden(const yaml_node_t *node) {
  const utf8proc_uint8_t *p = node->data.scalar.value;
  const size_t size = node->data.scalar.length;

  for (size_t at = 0; at < size;) {
    utf8proc_int32_t c;
    const utf8proc_ssize_t n = utf8proc_iterate(p + at, (utf8proc_ssize_t)(size - at), &c);
    if (n < 1 || is_forbidden(c)) return true;
    at += (size_t)n;
  }
  return false;
}

lrp_status lrp_yaml_string(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                           const char **text) {
  char got[LRP_YAML_TEXT];

  *text = NULL;
  if (node->type != YAML_SCALAR_NODE || lrp_yaml_is_null(node)) {
    return lrp_yaml_fail(y, node, "%s: expected a string, got %s", key,
                         lrp_yaml_describe(node, got));
  }
  if (is_boolean(node) || is_number(node)) {
    return lrp_yaml_fail(y, node, "%s: expected a string, got %s; if it is one, write it in quotes",
                         key, lrp_yaml_describe(node, got));
  }
  if (node->data.scalar.length == 0) return lrp_yaml_fail(y, node, "%s: an empty string", key);
  if (has_forbidden(node)) {
    return lrp_yaml_fail(y, node, "%s: a control character in the string", key);
  }
  *text = (const char *)node->data.scalar.value;
  return LRP_OK;
}

lrp_status lrp_yaml_integer(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                            const char *expected, int64_t min, int64_t max, int64_t *value) {
  char got[LRP_YAML_TEXT];
  bool good = is_integer(node);
  long long v = 0;

  if (good) {
    errno = 0;
    v = strtoll(plain(node), NULL, 10);
    good = errno == 0 && v >= min && v <= max;
  }
  if (!good) {
    return lrp_yaml_fail(y, node, "%s: expected %s, got %s", key, expected,
                         lrp_yaml_describe(node, got));
  }
  *value = v;
  return LRP_OK;
}

lrp_status lrp_yaml_boolean(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                            bool *value) {
  char got[LRP_YAML_TEXT];

  if (!is_boolean(node)) {
    return lrp_yaml_fail(y, node, "%s: expected true or false, got %s", key,
                         lrp_yaml_describe(node, got));
  }
  *value = *plain(node) == 't' || *plain(node) == 'T';
  return LRP_OK;
}

lrp_status lrp_yaml_number(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                           const char *expected, double min, double max, double *value) {
  char got[LRP_YAML_TEXT];
  const double v = is_number(node) ? strtod(plain(node), NULL) : NAN;

  if (!(v >= min && v <= max)) {
    return lrp_yaml_fail(y, node, "%s: expected %s, got %s", key, expected,
                         lrp_yaml_describe(node, got));
  }
  *value = v;
  return LRP_OK;
}

lrp_status lrp_yaml_fraction(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                             double *value) {
  return lrp_yaml_number(y, node, key, "a number in (0, 1]", DBL_TRUE_MIN, 1.0, value);
}

lrp_status lrp_yaml_key_text(const lrp_yaml *y, const yaml_node_t *map, int i, const char **text) {
  const yaml_node_t *key = lrp_yaml_map_key(y, map, i);
  char got[LRP_YAML_TEXT];

  *text = NULL;
  if (key->type != YAML_SCALAR_NODE || key->data.scalar.length == 0 || has_forbidden(key)) {
    return lrp_yaml_fail(y, key, "expected the name of a key, got %s", lrp_yaml_describe(key, got));
  }
  for (int j = 0; j < i; j++) {
    if (lrp_yaml_is_word(lrp_yaml_map_key(y, map, j), (const char *)key->data.scalar.value)) {
      return lrp_yaml_fail(y, key, "duplicate key %s", lrp_yaml_describe(key, got));
    }
  }
  *text = (const char *)key->data.scalar.value;
  return LRP_OK;
}
