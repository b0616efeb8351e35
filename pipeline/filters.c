#include "pipeline/filters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/regex.h"
#include "pipeline/python_text.h"

const lrp_filter lrp_strict_match = {"strict-match", "#### (\\-?[0-9\\.\\,]+)", "#### ", false};
const lrp_filter lrp_flexible_extract = {"flexible-extract", "(-?[$0-9.,]{2,})|(-?[0-9]+)", "",
                                         true};

/* The match that counts, text[*start .. *end - 1]; *found: whether there is one. */
static lrp_status search(const lrp_filter *filter, const char *text, bool *found, size_t *start,
                         size_t *end) {
  lrp_regex *regex = NULL;
  lrp_regex_walk walk = {0};
  bool more = true;

  *found = false;
  lrp_status st = lrp_regex_create(filter->pattern, strlen(filter->pattern), filter->name, &regex);
  if (st == LRP_OK) lrp_regex_start(&walk, regex, text, strlen(text));
  while (st == LRP_OK && more) {
    size_t first, last;
    st = lrp_regex_next(&walk, &more, &first, &last);
    if (st != LRP_OK || !more) break;
    *found = true;
    *start = first;
    *end = last;
    more = filter->last;
  }
  lrp_regex_walk_free(&walk);
  lrp_regex_destroy(&regex);
  return st;
}

char *lrp_filter_apply(const lrp_filter *filter, const char *text) {
  size_t start, end;
  bool found;

  if (search(filter, text, &found, &start, &end) != LRP_OK) return NULL;
  if (!found) return lrp_text_format("[invalid]");
  start += strlen(filter->before);
  char *answer = lrp_text_format("%.*s", (int)(end - start), text + start);
  return answer ? lrp_text_strip(answer) : NULL;
}

/* re.sub("\\.$", ""): "$" is also in front of a newline that ends the text. */
static void remove_final_stop(char *text) {
  const size_t length = strlen(text);
  const size_t end = length > 0 && text[length - 1] == '\n' ? length - 1 : length;
  if (end > 0 && text[end - 1] == '.') {
    memmove(text + end - 1, text + end, length - end + 1);
  }
}

char *lrp_answer_normalized(const char *text) {
  static const char mark[] = "#### ";
  char *copy = lrp_text_format("%s", text), *found, *lower;

  if (!copy) return NULL;
  lrp_text_replace(copy, ",", "");
  lrp_text_replace(copy, "$", "");
  char *rest = copy;
  while ((found = strstr(rest, mark))) rest = found + strlen(mark);
  remove_final_stop(rest);
  lower = lrp_text_lower(rest);
  free(copy);
  return lower;
}

double lrp_answer_match(const char *prediction, const char *target) {
  char *a = lrp_answer_normalized(prediction), *b = a ? lrp_answer_normalized(target) : NULL;
  const double match = !b ? NAN : strcmp(a, b) == 0 ? 1.0 : 0.0;
  free(b);
  free(a);
  return match;
}
