#include "pipeline/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { word_max = 64 };

static int min2(int a, int b) {
  return a < b ? a : b;
}

/* Optimal string alignment: Levenshtein distance in which a swap of neighbours costs one edit.
 * row[i % 3] holds the distances of a[0..i) to all prefixes of b. */
static int distance(const char *a, const char *b) {
  const int la = (int)strlen(a), lb = (int)strlen(b);
  int row[3][word_max + 1];

  for (int j = 0; j <= lb; j++) row[0][j] = j;
  for (int i = 1; i <= la; i++) {
    int *now = row[i % 3];
    const int *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= lb; j++) {
      now[j] = min2(before[j], now[j - 1]) + 1;
      now[j] = min2(now[j], before[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = min2(now[j], earlier[j - 2] + 1);
      }
    }
  }
  return row[la % 3][lb];
}

const char *lrp_did_you_mean(const char *text, const char *const *known, int n_known) {
  const size_t length = strlen(text);
  const char *best = NULL;
  int best_distance;

  if (length == 0 || length > word_max) return NULL;
  best_distance = (int)(length + 2) / 3 + 1;
  for (int i = 0; i < n_known; i++) {
    if (strlen(known[i]) > word_max) continue;
    const int d = distance(text, known[i]);
    if (d < best_distance) {
      best_distance = d;
      best = known[i];
    }
  }
  return best;
}

const char *lrp_format_double(double value, char text[LRP_DOUBLE_TEXT]) {
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, LRP_DOUBLE_TEXT, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  return text;
}
