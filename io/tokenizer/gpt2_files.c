#include "io/tokenizer/gpt2_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/json_memory.h"
#include "io/tokenizer/beside.h"
#include "io/tokenizer/buffer.h"
#include "io/tokenizer/tokenizer_json.h"

static const char default_mark[] = "<|endoftext|>";

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"use_regex\":%s}"
#define QWEN2_SPLIT                                                                            \
  "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"                 \
  "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|" \
  "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false}"

/* The rules that a class of transformers stands for. */
typedef struct {
  const char *name; /* without "Fast" */
  bool qwen2;
} class;

/* ---- Special tokens: an object of tokens by their text --------------------------------------- */

static int put_token(json_t *tokens, const char *content, const json_t *source, int64_t id,
                     bool special) {
  json_t *token = source ? json_copy((json_t *)source) : json_object();
  int failed = token ? json_object_set_new(token, "content", json_string(content)) : -1;

  if (!failed) failed = json_object_set_new(token, "id", id < 0 ? json_null() : json_integer(id));
  if (!failed && special) failed = json_object_set_new(token, "special", json_true());
  if (!failed) failed = json_object_set(tokens, content, token);
  json_decref(token);
  return failed;
}

/* A token that the configuration names: "<s>" or {"content": "<s>"}. */
static int name_token(json_t *tokens, const json_t *item) {
  const bool object = json_is_object(item);
  const char *content = json_string_value(object ? json_object_get(item, "content") : item);

  if (!content || !*content) return 0;
  if (json_object_get(tokens, content)) {
    return json_object_set_new(json_object_get(tokens, content), "special", json_true());
  }
  return put_token(tokens, content, object ? item : NULL, -1, true);
}

static int name_tokens(json_t *tokens, const json_t *root) {
  static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                     "pad_token", "cls_token", "mask_token"};
  const json_t *more = json_object_get(root, "additional_special_tokens"), *item;
  size_t i;
  int failed = 0;

  for (i = 0; i < sizeof keys / sizeof *keys && !failed; i++) {
    failed = name_token(tokens, json_object_get(root, keys[i]));
  }
  json_array_foreach(more, i, item) {
    if (!failed) failed = name_token(tokens, item);
  }
  return failed;
}

/* {"50256": {"content": "<|endoftext|>", ..}} */
static lrp_status list_tokens(const char *dir, const json_t *config, json_t *tokens) {
  const json_t *list = json_object_get(config, "added_tokens_decoder");
  const char *key;
  json_t *token;

  json_object_foreach((json_t *)list, key, token) {
    const char *content = json_string_value(json_object_get(token, "content"));
    char *end;
    const long long id = strtoll(key, &end, 10);
    if (!content || *end || end == key || id < 0) {
      return lrp_fail(LRP_ERR_DATA,
                      "%s/tokenizer_config.json: added_tokens_decoder: %.40s: expected an id and "
                      "its token",
                      dir, key);
    }
    if (put_token(tokens, content, token, id, false)) {
      return lrp_json_checked(lrp_fail_memory(strlen(content), "special tokens"));
    }
  }
  return LRP_OK;
}

/* {"<|im_end|>": 151645}: tokens of older versions. */
static lrp_status list_older(const char *dir, json_t *tokens) {
  json_t *list = NULL, *id;
  const char *content;
  lrp_status st = lrp_beside_object(dir, "added_tokens.json", &list);

  json_object_foreach(list, content, id) {
    const double number = json_is_real(id) ? json_real_value(id) : -1.0;
    if (st != LRP_OK || json_object_get(tokens, content)) continue;
    if (!(number >= 0.0 && number <= LRP_VOCAB_MAX_ID)) {
      st = lrp_fail(LRP_ERR_DATA, "%s/added_tokens.json: %.100s: expected an id", dir, content);
    } else if (put_token(tokens, content, NULL, (int64_t)number, false)) {
      st = lrp_json_checked(lrp_fail_memory(strlen(content), "special tokens"));
    }
  }
  json_decref(list);
  return st;
}

static lrp_status collect_tokens(const char *dir, const json_t *config, json_t *tokens) {
  json_t *map = NULL;
  lrp_status st = list_tokens(dir, config, tokens);
  int failed = 0;

  if (st == LRP_OK) st = list_older(dir, tokens);
  if (st == LRP_OK) st = lrp_beside_object(dir, "special_tokens_map.json", &map);
  if (st == LRP_OK) failed = name_tokens(tokens, config) || name_tokens(tokens, map);
  if (st == LRP_OK && !failed && !json_object_get(tokens, default_mark)) {
    failed = put_token(tokens, default_mark, NULL, -1, true);
  }
  json_decref(map);
  return failed ? lrp_json_checked(lrp_fail_memory(0, "special tokens")) : st;
}

/* ---- The tokenizer.json that says the same --------------------------------------------------- */

static lrp_status append_text(lrp_buffer *b, const char *text) {
  return lrp_buffer_append(b, text, strlen(text));
}

static lrp_status append_tokens(const char *dir, const json_t *config, lrp_buffer *b) {
  json_t *tokens = json_object(), *token;
  const char *key, *comma = "";
  lrp_status st;

  if (!tokens) return lrp_json_checked(lrp_fail_memory(0, "special tokens"));
  st = collect_tokens(dir, config, tokens);
  json_object_foreach(tokens, key, token) {
    char *text = st == LRP_OK ? json_dumps(token, JSON_COMPACT) : NULL;
    if (st != LRP_OK) break;
    if (!text) st = lrp_json_checked(lrp_fail_memory(0, "special tokens"));
    if (st == LRP_OK) st = append_text(b, comma);
    if (st == LRP_OK) st = append_text(b, text);
    comma = ",";
    free(text);
  }
  json_decref(tokens);
  return st;
}

/* The text of a line as a JSON string. */
static lrp_status append_line(lrp_buffer *b, const char *line, size_t length) {
  lrp_status st = append_text(b, "\"");

  for (size_t i = 0; i < length && st == LRP_OK; i++) {
    if (line[i] == '"' || line[i] == '\\') st = append_text(b, "\\");
    if (st == LRP_OK) st = lrp_buffer_append(b, line + i, 1);
  }
  return st == LRP_OK ? append_text(b, "\"") : st;
}

static lrp_status append_merges(const char *merges, size_t size, lrp_buffer *b) {
  const char *comma = "";
  lrp_status st = LRP_OK;

  for (size_t at = 0; at < size && st == LRP_OK;) {
    const char *newline = memchr(merges + at, '\n', size - at);
    const size_t end = newline ? (size_t)(newline - merges) : size;
    size_t length = end - at;
    if (length > 0 && merges[end - 1] == '\r') length--;
    if (length > 0 && !(at == 0 && strncmp(merges, "#version", 8) == 0)) {
      st = append_text(b, comma);
      if (st == LRP_OK) st = append_line(b, merges + at, length);
      comma = ",";
    }
    at = end + 1;
  }
  return st;
}

static lrp_status append_steps(const class *c, bool add_prefix_space, lrp_buffer *b) {
  char text[1024];

  if (c->qwen2) {
    return append_text(b,
                       "\"normalizer\":{\"type\":\"NFC\"},\"post_processor\":{\"type\":"
                       "\"ByteLevel\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
                       "\"pretokenizers\":[" QWEN2_SPLIT
                       ",{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                       "\"use_regex\":false}]}");
  }
  snprintf(text, sizeof text, "\"pre_tokenizer\":" BYTE_LEVEL, add_prefix_space ? "true" : "false",
           "true");
  return append_text(b, text);
}

static lrp_status make_json(const char *dir, const json_t *config, const class *c,
                            const lrp_buffer *vocab, const lrp_buffer *merges, lrp_buffer *b) {
  bool add_prefix_space = false;
  lrp_status st = lrp_beside_flag(dir, config, "add_prefix_space", &add_prefix_space);

  if (st == LRP_OK) st = append_text(b, "{\"decoder\":{\"type\":\"ByteLevel\"},");
  if (st == LRP_OK) st = append_steps(c, add_prefix_space, b);
  if (st == LRP_OK) st = append_text(b, ",\"added_tokens\":[");
  if (st == LRP_OK) st = append_tokens(dir, config, b);
  if (st == LRP_OK) st = append_text(b, "],\"model\":{\"type\":\"BPE\",\"vocab\":");
  if (st == LRP_OK) st = lrp_buffer_append(b, vocab->data, vocab->length);
  if (st == LRP_OK) st = append_text(b, ",\"merges\":[");
  if (st == LRP_OK) st = append_merges(merges->data, merges->length, b);
  return st == LRP_OK ? append_text(b, "]}}") : st;
}

/* ---- The files ------------------------------------------------------------------------------- */

static lrp_status find_class(const char *dir, const json_t *config, class *c) {
  static const class classes[] = {{"GPT2Tokenizer", false},
                                  {"CodeGenTokenizer", false},
                                  {"PreTrainedTokenizer", false},
                                  {"Qwen2Tokenizer", true}};
  const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
  const size_t length = name ? strlen(name) : 0;
  const size_t own = length > 4 && strcmp(name + length - 4, "Fast") == 0 ? length - 4 : length;

  *c = classes[0];
  if (!name) return LRP_OK;
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    if (strlen(classes[i].name) != own || strncmp(name, classes[i].name, own) != 0) continue;
    *c = classes[i];
    return LRP_OK;
  }
  return lrp_fail(
      LRP_ERR_DATA,
      "%s/tokenizer_config.json: the tokenizer_class %.100s is not read from vocab.json "
      "and merges.txt by this version: put its tokenizer.json there",
      dir, name);
}

/* *path: NULL if dir has no such file. */
static lrp_status read_file(const char *dir, const char *name, char **path, lrp_buffer *b) {
  return lrp_beside_read(dir, name, LRP_TOKENIZER_JSON_MAX / 2, path, &b->data, &b->length);
}

static void set_default_marks(const class *c, lrp_vocab *v) {
  const int32_t mark = lrp_vocab_find(v, default_mark, sizeof default_mark - 1);

  if (v->bos < 0 && !c->qwen2) v->bos = mark;
  if (v->eos < 0) v->eos = mark;
}

lrp_status lrp_gpt2_files_read(const char *dir, const json_t *config, bool *found, lrp_rules *r) {
  lrp_buffer vocab = {0}, merges = {0}, json = {0};
  char *vocab_path = NULL, *merges_path = NULL;
  class c = {0};
  lrp_status st = read_file(dir, "vocab.json", &vocab_path, &vocab);

  *found = vocab_path;
  if (st == LRP_OK && *found) st = read_file(dir, "merges.txt", &merges_path, &merges);
  if (st == LRP_OK && *found && !merges_path) {
    st = lrp_fail(LRP_ERR_ABSENT, "%s/merges.txt: not there, beside vocab.json", dir);
  }
  if (st == LRP_OK && *found) st = find_class(dir, config, &c);
  if (st == LRP_OK && *found) st = make_json(dir, config, &c, &vocab, &merges, &json);
  if (st == LRP_OK && *found) {
    st = lrp_tokenizer_json_read(json.data, json.length, vocab_path, r);
    json.data = NULL;
  }
  if (st == LRP_OK && *found) set_default_marks(&c, &r->vocab);
  free(json.data);
  free(merges.data);
  free(merges_path);
  free(vocab.data);
  free(vocab_path);
  return st;
}
