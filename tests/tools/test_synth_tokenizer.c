/* The tokenizer that synth_model makes: a SentencePiece file whose every piece can be reached by
 * merging shorter ones. SYNTH_MODEL is the path of the tool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers that it needs */
#include <cmocka.h>

#include "tests/tools/synth_pieces.h"
#include "tests/tools/synth_reader.h"

enum { vocab = 2000 };

static const char word_start[] = "\xe2\x96\x81";
static char work[] = "synth_tokenizer_XXXXXX";

/* Position in a protobuf message. */
typedef struct {
  const unsigned char *p, *end;
} cursor;

static uint64_t varint(cursor *c) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    assert_true(c->p < c->end);
    const unsigned char byte = *c->p++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
  fail_msg("a varint of more than 10 bytes");
  return 0;
}

/* The next field: its number; its content as value (varint, fixed32) or as bytes. */
static int field(cursor *c, uint64_t *value, cursor *bytes) {
  const uint64_t tag = varint(c);
  *value = 0;
  *bytes = (cursor){0};
  if ((tag & 7) == 0) {
    *value = varint(c);
  } else if ((tag & 7) == 5) {
    assert_true(c->end - c->p >= 4);
    for (int i = 3; i >= 0; i--) *value = *value << 8 | c->p[i];
    c->p += 4;
  } else {
    assert_int_equal(tag & 7, 2);
    const uint64_t length = varint(c);
    assert_true(length <= (uint64_t)(c->end - c->p));
    *bytes = (cursor){c->p, c->p + length};
    c->p += length;
  }
  return (int)(tag >> 3);
}

typedef struct {
  char text[32];
  float score;
  int type;
} piece;

static piece read_piece(cursor c) {
  piece x = {.type = 1};
  while (c.p < c.end) {
    uint64_t value;
    cursor bytes;
    const int number = field(&c, &value, &bytes);
    const uint32_t bits = (uint32_t)value;
    if (number == 1) {
      const size_t length = (size_t)(bytes.end - bytes.p);
      assert_true(length < sizeof x.text);
      memcpy(x.text, bytes.p, length);
    }
    if (number == 2) memcpy(&x.score, &bits, sizeof bits);
    if (number == 3) x.type = (int)value;
  }
  return x;
}

/* The trainer's fields that readers look at. */
static void check_trainer(cursor c) {
  int64_t of[64] = {0};
  while (c.p < c.end) {
    uint64_t value;
    cursor bytes;
    const int number = field(&c, &value, &bytes);
    assert_true(number < 64);
    of[number] = (int64_t)value;
  }
  assert_int_equal(of[3], 2);
  assert_int_equal(of[4], vocab);
  assert_int_equal(of[35], 1);
  assert_int_equal(of[41], 1);
  assert_int_equal(of[42], 2);
  assert_int_equal(of[43], -1);
}

static int read_model(piece *pieces) {
  char command[512], path[128];
  size_t size;
  int count = 0;
  int specs = 0;
  snprintf(command, sizeof command, "'%s' %s/model --layers 1 --vocab %d", SYNTH_MODEL, work,
           vocab);
  assert_int_equal(system(command), 0);
  snprintf(path, sizeof path, "%s/model/tokenizer.model", work);
  char *data = lrp_synth_slurp(path, &size);
  assert_non_null(data);
  cursor c = {(unsigned char *)data, (unsigned char *)data + size};
  while (c.p < c.end) {
    uint64_t value;
    cursor bytes;
    const int number = field(&c, &value, &bytes);
    assert_true(number >= 1 && number <= 3);
    if (number == 1) {
      assert_true(count < vocab);
      pieces[count++] = read_piece(bytes);
    }
    if (number == 2) check_trainer(bytes);
    if (number != 1) specs++;
  }
  free(data);
  assert_int_equal(specs, 2);
  return count;
}

static void test_file(void **state) {
  static piece pieces[vocab];
  (void)state;
  assert_int_equal(read_model(pieces), vocab);
  assert_string_equal(pieces[0].text, "<unk>");
  assert_int_equal(pieces[0].type, 2);
  assert_string_equal(pieces[1].text, "<s>");
  assert_int_equal(pieces[1].type, 3);
  assert_string_equal(pieces[2].text, "</s>");
  assert_string_equal(pieces[3].text, "<0x00>");
  assert_string_equal(pieces[258].text, "<0xFF>");
  assert_int_equal(pieces[258].type, 6);
  assert_string_equal(pieces[259].text, word_start);
  for (int i = 259; i < vocab; i++) {
    assert_int_equal(pieces[i].type, 1);
    if (i > 259) assert_true(pieces[i].score < pieces[i - 1].score);
  }
}

/* Whether text is one character of UTF-8. */
static bool is_character(const char *text) {
  return strlen(text) == 1 || strcmp(text, word_start) == 0;
}

/* Whether text is two pieces of the set joined, both of them longer than nothing. */
static bool is_merge(json_t *known, const char *text) {
  const size_t length = strlen(text);
  for (size_t cut = 1; cut < length; cut++) {
    if (json_object_get(known, text + cut) && json_object_getn(known, text, cut)) return true;
  }
  return false;
}

static void test_every_piece_can_be_merged(void **state) {
  static const int64_t sizes[] = {95, 96, 500, 31741};
  (void)state;
  for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
    lrp_synth_pieces p;
    assert_int_equal(lrp_synth_pieces_bpe(&p, sizes[k]), LRP_OK);
    assert_int_equal(p.count, sizes[k]);
    json_t *known = json_object();
    for (int64_t i = 0; i < p.count; i++) {
      assert_null(json_object_get(known, p.text[i]));
      if (!is_character(p.text[i])) assert_true(is_merge(known, p.text[i]));
      json_object_set_new(known, p.text[i], json_true());
    }
    json_decref(known);
    lrp_synth_pieces_free(&p);
  }
}

static void test_largest_vocabularies(void **state) {
  lrp_synth_pieces p;
  (void)state;
  assert_int_equal(lrp_synth_pieces_bpe(&p, 500000 - 259), LRP_OK);
  lrp_synth_pieces_free(&p);
  assert_int_equal(lrp_synth_pieces_wordpiece(&p, 500000), LRP_OK);
  lrp_synth_pieces_free(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_file),
      cmocka_unit_test(test_every_piece_can_be_merged),
      cmocka_unit_test(test_largest_vocabularies),
  };
  char command[64];
  if (!mkdtemp(work)) return 1;
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  snprintf(command, sizeof command, "rm -rf %s", work);
  return system(command) == 0 ? failed : 1;
}
