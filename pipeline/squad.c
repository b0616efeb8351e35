#include "pipeline/squad.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/python_text.h"

/* ---- from logits to an answer ---- */

/* Indices of the largest of the n values x[0], x[2], ..., at most LRP_SQUAD_BEST of them,
 * descending; of equal values the first. Returns how many. */
static int largest(const float *x, int64_t n, int64_t index[LRP_SQUAD_BEST]) {
  int count = 0;
  for (int64_t i = 0; i < n; i++) {
    if (count == LRP_SQUAD_BEST && !(x[2 * i] > x[2 * index[count - 1]])) continue;
    int at = count < LRP_SQUAD_BEST ? count++ : count - 1;
    for (; at > 0 && x[2 * i] > x[2 * index[at - 1]]; at--) index[at] = index[at - 1];
    index[at] = i;
  }
  return count;
}

lrp_char_range lrp_squad_best(const float *logits, const lrp_char_range *ranges, int64_t n,
                              double *score) {
  int64_t starts[LRP_SQUAD_BEST], ends[LRP_SQUAD_BEST];
  const int n_starts = largest(logits, n, starts), n_ends = largest(logits + 1, n, ends);
  lrp_char_range best = {-1, -1};
  float most = 0.0f;

  for (int i = 0; i < n_starts; i++) {
    for (int j = 0; j < n_ends; j++) {
      const int64_t a = starts[i], b = ends[j];
      const float sum = logits[2 * a] + logits[2 * b + 1];
      if (ranges[a].first < 0 || ranges[b].first < 0) continue;
      if (b < a || b - a + 1 > LRP_SQUAD_LONGEST) continue;
      if (best.first >= 0 && !(sum > most)) continue;
      best = (lrp_char_range){ranges[a].first, ranges[b].end};
      most = sum;
    }
  }
  *score = (double)most;
  return best;
}

/* ---- scores of an answer ---- */

static void delete_punctuation(char *text) {
  static const char punctuation[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  char *out = text;
  for (const char *in = text; *in; in++) {
    if (!strchr(punctuation, *in)) *out++ = *in;
  }
  *out = '\0';
}

/* Whether the next character is part of a word. */
static bool starts_word(const char *text) {
  bool word = false;
  if (*text) lrp_text_word_character(text, strnlen(text, 4), &word);
  return word;
}

/* Bytes of the article that text begins with, if it is a whole word; else 0. */
static size_t article(const char *text) {
  static const char *const articles[] = {"a", "an", "the"};
  for (size_t i = 0; i < sizeof articles / sizeof *articles; i++) {
    const size_t n = strlen(articles[i]);
    if (strncmp(text, articles[i], n) == 0 && !starts_word(text + n)) return n;
  }
  return 0;
}

static void blank_articles(char *text) {
  bool inside = false; /* the character before is part of a word */
  while (*text) {
    const size_t n = inside ? 0 : article(text);
    if (n > 0) memset(text, ' ', n);
    text += n > 0 ? n : lrp_text_word_character(text, strnlen(text, 4), &inside);
  }
}

/* " ".join(text.split()), in place */
static void single_spaces(char *text) {
  size_t length = strlen(lrp_text_strip(text));
  const char *in = text, *stop = text + length;
  char *out = text;
  while (in < stop) {
    const size_t space = lrp_text_lstrip(in, (size_t)(stop - in));
    if (space > 0) *out++ = ' ';
    in += space;
    if (in < stop) *out++ = *in++;
  }
  *out = '\0';
}

char *lrp_squad_normalized(const char *text) {
  char *normal = lrp_text_lower(text);
  if (!normal) return NULL;
  delete_punctuation(normal);
  blank_articles(normal);
  single_spaces(normal);
  return normal;
}

double lrp_squad_exact(const char *prediction, const char *gold) {
  return strcmp(prediction, gold) == 0 ? 1.0 : 0.0;
}

/* The word at text, of a normalized text; its bytes. */
static size_t word_length(const char *text) {
  return strcspn(text, " ");
}

static const char *next_word(const char *text) {
  text += word_length(text);
  return *text ? text + 1 : text;
}

/* How often the word at word, of n bytes, is in text before stop (NULL: in all of it). */
static int64_t count_word(const char *word, size_t n, const char *text, const char *stop) {
  int64_t count = 0;
  for (; *text && text != stop; text = next_word(text)) {
    count += word_length(text) == n && memcmp(text, word, n) == 0;
  }
  return count;
}

static int64_t count_words(const char *text) {
  int64_t count = 0;
  for (; *text; text = next_word(text)) count++;
  return count;
}

double lrp_squad_f1(const char *prediction, const char *gold) {
  int64_t common = 0;
  /* The k-th time that a word is met counts if the other text has it k times. */
  for (const char *w = prediction; *w; w = next_word(w)) {
    const size_t n = word_length(w);
    common += count_word(w, n, prediction, w) < count_word(w, n, gold, NULL);
  }
  if (common == 0) return 0.0;
  const double precision = (double)common / (double)count_words(prediction);
  const double recall = (double)common / (double)count_words(gold);
  return 2.0 * precision * recall / (precision + recall);
}
