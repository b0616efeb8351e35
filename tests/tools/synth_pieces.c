#include "tests/tools/synth_pieces.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* U+2581, which stands for the space in front of a word. */
static const char word_start[] = "\xe2\x96\x81";
static const char continued[] = "##";

/* Roughly by frequency in English, so that small vocabularies hold useful pieces. */
static const char letters[] = "etaoinshrdlucmfwypvbgkqjxz";

static const char *const pairs[] = {"th", "he", "in", "er", "an", "re", "on", "at", "en", "nd",
                                    "ti", "es", "or", "te", "of", "ed", "is", "it", "al", "ar",
                                    "st", "to", "nt", "ng", "se", "ou", "le", "ve", "me", "ll"};

static const char *const words[] = {
    "the",   "a",     "of",     "to",       "and",    "is",    "in",    "that",  "it",    "for",
    "what",  "which", "answer", "question", "on",     "with",  "as",    "are",   "be",    "how",
    "by",    "from",  "this",   "at",       "or",     "not",   "do",    "you",   "can",   "most",
    "water", "use",   "make",   "best",     "likely", "when",  "will",  "have",  "they",  "one",
    "into",  "more",  "light",  "heat",     "plant",  "earth", "sun",   "small", "large", "cut",
    "put",   "place", "paper",  "wood",     "hot",    "cold",  "clean", "cup",   "food",  "glass"};

static void add(lrp_synth_pieces *p, const char *prefix, const char *body) {
  if (p->count == p->wanted) return;
  char *text = p->text[p->count];
  snprintf(text, LRP_SYNTH_PIECE_SIZE, "%s%s", prefix, body);
  if (json_object_get(p->seen, text)) return;
  if (json_object_set_new(p->seen, text, json_true()) == 0) p->count++;
}

/* Every string of length letters, behind prefix. */
static void add_strings(lrp_synth_pieces *p, const char *prefix, int length) {
  const int base = (int)sizeof letters - 1;
  int64_t combinations = 1;
  for (int i = 0; i < length; i++) combinations *= base;
  for (int64_t c = 0; c < combinations && p->count < p->wanted; c++) {
    char body[8] = {0};
    int64_t rest = c;
    for (int i = length - 1; i >= 0; i--) {
      body[i] = letters[rest % base];
      rest /= base;
    }
    add(p, prefix, body);
  }
}

static void add_characters(lrp_synth_pieces *p, const char *prefix, const char *first_to_last,
                           bool upper_case) {
  for (char c = first_to_last[0]; c <= first_to_last[1]; c++) {
    const char body[2] = {c, '\0'};
    if (upper_case || c < 'A' || c > 'Z') add(p, prefix, body);
  }
}

static lrp_status init(lrp_synth_pieces *p, int64_t wanted, int64_t least, int64_t before) {
  *p = (lrp_synth_pieces){.wanted = wanted};
  if (wanted < least) {
    return lrp_fail(LRP_ERR_USAGE, "--vocab: %lld is too small, at least %lld",
                    (long long)(wanted + before), (long long)(least + before));
  }
  p->text = malloc((size_t)wanted * sizeof *p->text);
  p->seen = json_object();
  if (p->text && p->seen) return LRP_OK;
  lrp_synth_pieces_free(p);
  return lrp_fail_memory((size_t)wanted * sizeof *p->text, "the vocabulary");
}

/* The rules are endless as far as options allow: a list that is short met the end of memory. */
static lrp_status check_full(lrp_synth_pieces *p) {
  if (p->count == p->wanted) return LRP_OK;
  lrp_synth_pieces_free(p);
  return lrp_fail_memory(LRP_SYNTH_PIECE_SIZE, "the vocabulary");
}

lrp_status lrp_synth_pieces_bpe(lrp_synth_pieces *p, int64_t wanted) {
  const int64_t characters = 1 + ('~' - '!' + 1);
  lrp_status st = init(p, wanted, characters, 259);
  if (st != LRP_OK) return st;
  add(p, word_start, "");
  add_characters(p, "", "!~", true);
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) add(p, "", pairs[i]);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    for (size_t length = 1; length <= strlen(words[i]); length++) {
      char prefix[LRP_SYNTH_PIECE_SIZE / 2];
      snprintf(prefix, sizeof prefix, "%.*s", (int)length, words[i]);
      add(p, word_start, prefix);
    }
  }
  for (int length = 1; length <= 4; length++) {
    add_strings(p, "", length);
    add_strings(p, word_start, length);
  }
  return check_full(p);
}

lrp_status lrp_synth_pieces_wordpiece(lrp_synth_pieces *p, int64_t wanted) {
  static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  lrp_status st = init(p, wanted, 5 + ('~' - '!' + 1 - 26) + 36, 0);
  if (st != LRP_OK) return st;
  for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) add(p, "", special[i]);
  add_characters(p, "", "!~", false);
  add_characters(p, continued, "09", false);
  add_characters(p, continued, "az", false);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) add(p, "", words[i]);
  for (int length = 2; length <= 4; length++) {
    add_strings(p, continued, length);
    add_strings(p, "", length);
  }
  return check_full(p);
}

void lrp_synth_pieces_free(lrp_synth_pieces *p) {
  json_decref(p->seen);
  free(p->text);
  *p = (lrp_synth_pieces){0};
}
