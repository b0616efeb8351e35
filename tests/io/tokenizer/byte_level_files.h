/** @file tests/io/tokenizer/byte_level_files.h
 *  A small byte-level tokenizer in files: byte b has the id b, merges follow from 256 on. */
#ifndef LRP_TESTS_IO_TOKENIZER_BYTE_LEVEL_FILES_H
#define LRP_TESTS_IO_TOKENIZER_BYTE_LEVEL_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/tokenizer/byte_level.h"
#include "io/tokenizer/tokenizer.h"

/* JSON with ` for ". */
#define TYPE(type)    "{`type`:`" type "`}"
#define LIST(list)    "{`type`:`Sequence`,`pretokenizers`:[" list "]}"
#define STEPS(list)   "{`type`:`Sequence`,`normalizers`:[" list "]}"
#define DIGITS(alone) "{`type`:`Digits`,`individual_digits`:" alone "}"
#define SPLIT_OF(kind, pattern, behavior, invert)                              \
  "{`type`:`Split`,`pattern`:{`" kind "`:`" pattern "`},`behavior`:`" behavior \
  "`,`invert`:" invert "}"
#define SPLIT(pattern, behavior)    SPLIT_OF("Regex", pattern, behavior, "false")
#define INVERTED(pattern, behavior) SPLIT_OF("Regex", pattern, behavior, "true")
#define CUT(text, behavior)         SPLIT_OF("String", text, behavior, "false")
#define GPT2                        "{`type`:`ByteLevel`,`add_prefix_space`:false,`trim_offsets`:true,`use_regex`:true}"
#define GPT2_PREFIX                 "{`type`:`ByteLevel`,`add_prefix_space`:true,`trim_offsets`:true}"
#define BYTES                       "{`type`:`ByteLevel`,`add_prefix_space`:false,`trim_offsets`:true,`use_regex`:false}"
#define LLAMA3                                                                               \
  SPLIT(                                                                                     \
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| " \
      "?[^\\\\s\\\\p{L}\\\\p{N}]+"                                                           \
      "[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+",                            \
      "Isolated")

static const char *const merges[] = {"h e",
                                     "l l",
                                     "he ll",
                                     "hell o",
                                     "\xc4\xa0 w",
                                     "o r",
                                     "\xc4\xa0w or",
                                     "l d",
                                     "\xc4\xa0wor ld",
                                     "1 2",
                                     "12 3",
                                     "\xc4\xa0 \xc4\xa0",
                                     "\xc4\xa0\xc4\xa0 \xc4\xa0\xc4\xa0",
                                     "' s",
                                     "\xc3\x83 \xc2\xa9",
                                     "\xc4\x8a \xc4\x8a",
                                     "\xc4\xa0 he",
                                     "\xc4\xa0he ll",
                                     "\xc4\xa0hell o"};
enum { n_merges = sizeof merges / sizeof *merges, hello = 259 };

static const char added_tokens[] =
    "[{`id`:300,`content`:`<|end|>`,`special`:true,`normalized`:false},"
    "{`id`:301,`content`:`\xc3\x89t\xc3\xa9`,`special`:false,`normalized`:true},"
    "{`id`:302,`content`:`\xe6\xbc\xa2`,`special`:false,`normalized`:true}]";

static inline void put_vocab(FILE *f) {
  lrp_buffer characters = {0};

  for (int i = 0; i < 256; i++) {
    const char byte = (char)i;
    characters.length = 0;
    assert_int_equal(lrp_bytes_to_characters(&byte, 1, &characters), LRP_OK);
    fprintf(f, "%s\"%s%.*s\":%d", i > 0 ? "," : "{", byte == '"' || byte == '\\' ? "\\" : "",
            (int)characters.length, characters.data, i);
  }
  for (int i = 0; i < n_merges; i++) {
    const char *space = strchr(merges[i], ' ');
    fprintf(f, ",\"%.*s%s\":%d", (int)(space - merges[i]), merges[i], space + 1, 256 + i);
  }
  fprintf(f, ",\"hello123\":%d}", 256 + n_merges);
  free(characters.data);
}

static inline void put_json(FILE *f, const char *text) {
  for (; *text; text++) fputc(*text == '`' ? '"' : *text, f);
}

/* A directory, and where its files go. */
typedef struct {
  char dir[64], path[128];
} place;

static inline place make_place(void) {
  place p = {.dir = "/tmp/lrp_test_byte_level_XXXXXX"};
  assert_non_null(mkdtemp(p.dir));
  return p;
}

static inline FILE *create_file(place *p, const char *name) {
  FILE *f;
  snprintf(p->path, sizeof p->path, "%s/%s", p->dir, name);
  f = fopen(p->path, "w");
  assert_non_null(f);
  return f;
}

static inline void remove_place(place *p) {
  static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "vocab.json",
                                      "merges.txt"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(p->path, sizeof p->path, "%s/%s", p->dir, names[i]);
    unlink(p->path);
  }
  assert_int_equal(rmdir(p->dir), 0);
}

/* Members of tokenizer.json; NULL: null. */
typedef struct {
  const char *normalizer, *pre_tokenizer, *post_processor, *decoder, *model, *config;
} parts;

static inline const char *or_null(const char *json) {
  return json ? json : "null";
}

static inline lrp_tokenizer *open_place(place *p) {
  lrp_tokenizer *tok = NULL;
  const lrp_status st = lrp_tokenizer_open(p->dir, &tok);

  remove_place(p);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
  return tok;
}

static inline lrp_tokenizer *open_parts(const parts *p) {
  place where = make_place();
  FILE *f = create_file(&where, "tokenizer.json");
  const char *const members[][2] = {{"{`added_tokens`:", added_tokens},
                                    {",`normalizer`:", or_null(p->normalizer)},
                                    {",`pre_tokenizer`:", or_null(p->pre_tokenizer)},
                                    {",`post_processor`:", or_null(p->post_processor)},
                                    {",`decoder`:", p->decoder ? p->decoder : GPT2},
                                    {",`model`:{`type`:`BPE`", p->model ? p->model : ""}};

  for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
    put_json(f, members[i][0]);
    put_json(f, members[i][1]);
  }
  put_json(f, ",`vocab`:");
  put_vocab(f);
  for (int i = 0; i < n_merges; i++) {
    fprintf(f, "%s\"%s\"", i > 0 ? "," : ",\"merges\":[", merges[i]);
  }
  put_json(f, "]}}");
  fclose(f);
  if (p->config) {
    f = create_file(&where, "tokenizer_config.json");
    put_json(f, p->config);
    fclose(f);
  }
  return open_place(&where);
}

static inline void expect(const lrp_tokenizer *tok, bool special, const char *text, size_t length,
                          const int32_t *ids, int64_t count) {
  lrp_tokens t = {0};
  bool same;

  assert_int_equal(lrp_tokenizer_encode(tok, text, length, special, &t), LRP_OK);
  same = t.count == count && (count == 0 || memcmp(t.ids, ids, (size_t)count * sizeof *ids) == 0);
  for (int64_t i = 0; !same && i < t.count; i++) print_error("%d ", (int)t.ids[i]);
  if (!same) fail_msg("are not the ids of \"%s\"", text);
  lrp_tokens_free(&t);
}

#define EXPECT(tok, special, text, ...)                                              \
  do {                                                                               \
    const int32_t ids_[] = {__VA_ARGS__};                                            \
    expect(tok, special, text, sizeof text - 1, ids_, sizeof ids_ / sizeof ids_[0]); \
  } while (0)

static inline void decodes(const lrp_tokenizer *tok, const int32_t *ids, int64_t count,
                           const char *expected) {
  char *text = NULL;

  assert_int_equal(lrp_tokenizer_decode(tok, ids, count, &text), LRP_OK);
  assert_string_equal(text, expected);
  free(text);
}

#define DECODES(tok, expected, ...)                             \
  do {                                                          \
    const int32_t ids_[] = {__VA_ARGS__};                       \
    decodes(tok, ids_, sizeof ids_ / sizeof ids_[0], expected); \
  } while (0)

#endif
