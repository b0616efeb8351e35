/* The tasks: for each a row of the table and a function that builds its documents. Templates and
 * preprocessing are those of lm-evaluation-harness. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/python_text.h"
#include "pipeline/tasks.h"

/* Every item of an array is a string. */
static lrp_status check_texts(const lrp_jsonl *data, int64_t row, const char *field,
                              const json_t *array) {
  for (size_t i = 0; i < json_array_size(array); i++) {
    if (json_is_string(json_array_get(array, i))) continue;
    return lrp_jsonl_fail(data, row, "field %s: item %zu: expected a string", field, i);
  }
  return LRP_OK;
}

static lrp_status get_texts(const lrp_jsonl *data, int64_t row, const char *field, json_t **array) {
  const lrp_status st = lrp_jsonl_array(data, row, field, array);
  return st == LRP_OK ? check_texts(data, row, field, *array) : st;
}

/* A document whose choices answer one context; its target is the index of the right one. */
static lrp_status add_question(lrp_task *task, int64_t row, const char *context,
                               const json_t *choices, int64_t gold, json_t *shown) {
  const size_t n = json_array_size(choices);
  char target[24];

  snprintf(target, sizeof target, "%" PRId64, gold);
  lrp_status st = lrp_task_add_doc(task, row, n, gold, target, shown);
  for (size_t i = 0; i < n && st == LRP_OK; i++) {
    st = lrp_task_add_request(task, context, json_string_value(json_array_get(choices, i)));
  }
  return st;
}

/* Index of key in the document's own labels, which are A.. or 1.., three to five of them. */
static lrp_status find_label(const lrp_jsonl *data, int64_t row, const json_t *labels,
                             const char *key, int64_t *index) {
  for (size_t i = 0; i < json_array_size(labels); i++) {
    if (strcmp(json_string_value(json_array_get(labels, i)), key) != 0) continue;
    *index = (int64_t)i;
    return LRP_OK;
  }
  return lrp_jsonl_fail(data, row, "field answerKey: \"%.40s\" is not in choices.label", key);
}

static lrp_status build_arc(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data;
  const char *question, *key;
  json_t *texts, *labels;
  int64_t gold = 0;

  lrp_status st = lrp_jsonl_text(data, row, "question", &question);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "answerKey", &key);
  if (st == LRP_OK) st = get_texts(data, row, "choices.text", &texts);
  if (st == LRP_OK) st = get_texts(data, row, "choices.label", &labels);
  if (st != LRP_OK) return st;
  if (json_array_size(texts) != json_array_size(labels)) {
    return lrp_jsonl_fail(data, row, "field choices: %zu texts but %zu labels",
                          json_array_size(texts), json_array_size(labels));
  }
  st = find_label(data, row, labels, key, &gold);
  if (st != LRP_OK) return st;

  char *context = lrp_text_format("Question: %s\nAnswer:", question);
  if (!context) return LRP_ERR_MEM;
  st = add_question(task, row, context, texts, gold, data->rows[row]);
  free(context);
  return st;
}

/* str.replace(from, to), in place: to is not longer than from. */
static void replace(char *text, const char *from, const char *to) {
  const size_t from_length = strlen(from), to_length = strlen(to);
  char *out = text;

  while (*text) {
    if (strncmp(text, from, from_length) == 0) {
      memcpy(out, to, to_length);
      out += to_length;
      text += from_length;
    } else {
      *out++ = *text++;
    }
  }
  *out = '\0';
}

/* Deletes every shortest [...] that does not span lines, in place. */
static void delete_brackets(char *text) {
  char *out = text;

  while (*text) {
    if (*text != '[') {
      *out++ = *text++;
      continue;
    }
    const size_t inside = strcspn(text, "]\n");
    if (text[inside] == ']') {
      text += inside + 1;
    } else { /* unclosed: neither is any other one before the end of the line */
      memmove(out, text, inside);
      out += inside;
      text += inside;
    }
  }
  *out = '\0';
}

/* HellaSwag's rows carry marks of the WikiHow pages that they come from. The order matters: white
 * space that a deleted mark leaves at the ends stays. */
static char *clean(char *text) {
  lrp_text_strip(text);
  replace(text, " [title]", ". ");
  delete_brackets(text);
  replace(text, "  ", " ");
  return text;
}

/* clean(activity_label + ": " + ctx_a + " " + capitalize(ctx_b)), freed by the caller. */
static lrp_status hellaswag_query(const lrp_jsonl *data, int64_t row, char **query) {
  const char *label, *ctx_a, *ctx_b;
  lrp_status st = lrp_jsonl_text(data, row, "activity_label", &label);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "ctx_a", &ctx_a);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "ctx_b", &ctx_b);
  if (st != LRP_OK) return st;

  char *capitalized = lrp_text_capitalize(ctx_b);
  if (!capitalized) return LRP_ERR_MEM;
  *query = lrp_text_format("%s: %s %s", label, ctx_a, capitalized);
  free(capitalized);
  if (!*query) return LRP_ERR_MEM;
  clean(*query);
  return LRP_OK;
}

/* The endings, cleaned: a new array. */
static lrp_status hellaswag_choices(const json_t *endings, json_t **choices) {
  lrp_status st = LRP_OK;

  *choices = json_array();
  if (!*choices) return lrp_fail_memory(sizeof(json_t), "the endings of a document");
  for (size_t i = 0; i < json_array_size(endings) && st == LRP_OK; i++) {
    char *text = lrp_text_format("%s", json_string_value(json_array_get(endings, i)));
    if (!text) return LRP_ERR_MEM;
    if (json_array_append_new(*choices, json_string(clean(text))) != 0) {
      st = lrp_fail_memory(strlen(text), "an ending of a document");
    }
    free(text);
  }
  return st;
}

/* The row with what the preprocessing appends to it, as the harness's samples show it. A copy that
 * ran out of memory lacks members, and jansson does not say so. */
static lrp_status hellaswag_shown(const json_t *row, const char *query, json_t *choices,
                                  int64_t gold, json_t **shown) {
  *shown = json_copy((json_t *)(uintptr_t)row); /* shallow */
  if (*shown && json_object_size(*shown) == json_object_size(row) &&
      json_object_set_new(*shown, "query", json_string(query)) == 0 &&
      json_object_set(*shown, "choices", choices) == 0 &&
      json_object_set_new(*shown, "gold", json_integer(gold)) == 0) {
    return LRP_OK;
  }
  return lrp_fail_memory(strlen(query), "a document");
}

static lrp_status build_hellaswag(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data;
  json_t *endings, *choices = NULL, *shown = NULL;
  char *query = NULL;
  int64_t gold = 0;

  lrp_status st = hellaswag_query(data, row, &query);
  if (st == LRP_OK) st = get_texts(data, row, "endings", &endings);
  if (st == LRP_OK) st = lrp_jsonl_integer(data, row, "label", &gold);
  if (st == LRP_OK) st = hellaswag_choices(endings, &choices);
  if (st == LRP_OK) st = hellaswag_shown(data->rows[row], query, choices, gold, &shown);
  if (st == LRP_OK) st = add_question(task, row, query, choices, gold, shown);
  json_decref(shown);
  json_decref(choices);
  free(query);
  return st;
}

/* One context per option, the same continuation: before + option | after. */
static lrp_status add_options(lrp_task *task, const char *sentence, const char *blank,
                              const char *const options[2], const char *after) {
  const int before = (int)(blank - sentence); /* a line has 64 MiB at most */
  lrp_status st = LRP_OK;

  for (int i = 0; i < 2 && st == LRP_OK; i++) {
    char *context = lrp_text_format("%.*s%s", before, sentence, options[i]);
    if (!context) return LRP_ERR_MEM;
    st = lrp_task_add_request(task, context, after);
    free(context);
  }
  return st;
}

static lrp_status build_winogrande(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data;
  const char *sentence, *options[2];
  int64_t answer = 0;

  lrp_status st = lrp_jsonl_text(data, row, "sentence", &sentence);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "option1", &options[0]);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "option2", &options[1]);
  if (st == LRP_OK) st = lrp_jsonl_integer(data, row, "answer", &answer);
  if (st != LRP_OK) return st;
  const char *blank = strchr(sentence, '_');
  if (!blank) return lrp_jsonl_fail(data, row, "field sentence: expected a blank, \"_\"");
  if (answer != 1 && answer != 2) {
    return lrp_jsonl_fail(data, row, "field answer: expected 1 or 2, got %" PRId64, answer);
  }

  char *after = lrp_text_format("%s", blank + 1);
  if (!after) return LRP_ERR_MEM;
  lrp_text_strip(after);
  st = lrp_task_add_doc(task, row, 2, answer - 1, after, data->rows[row]);
  if (st == LRP_OK) st = add_options(task, sentence, blank, options, after);
  free(after);
  return st;
}

static lrp_status build_piqa(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data;
  const char *goal, *first, *second;
  int64_t gold = 0;

  lrp_status st = lrp_jsonl_text(data, row, "goal", &goal);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "sol1", &first);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "sol2", &second);
  if (st == LRP_OK) st = lrp_jsonl_integer(data, row, "label", &gold);
  if (st != LRP_OK) return st;

  char *context = lrp_text_format("Question: %s\nAnswer:", goal);
  if (!context) return LRP_ERR_MEM;
  json_t *choices = json_pack("[ss]", first, second);
  st = choices ? add_question(task, row, context, choices, gold, data->rows[row])
               : lrp_fail_memory(strlen(first) + strlen(second), "the choices of a document");
  json_decref(choices);
  free(context);
  return st;
}

/* name, file below evaluate.data, data set, subset, split, version, has_norm, build */
#define TASKS(X)                                                                                 \
  X("arc_easy", "ai2_arc/ARC-Easy/test.jsonl", "allenai/ai2_arc", "ARC-Easy", "test", 1.0, true, \
    build_arc)                                                                                   \
  X("arc_challenge", "ai2_arc/ARC-Challenge/test.jsonl", "allenai/ai2_arc", "ARC-Challenge",     \
    "test", 1.0, true, build_arc)                                                                \
  X("hellaswag", "hellaswag/validation.jsonl", "Rowan/hellaswag", NULL, "validation", 1.0, true, \
    build_hellaswag)                                                                             \
  X("winogrande", "winogrande/winogrande_xl/validation.jsonl", "allenai/winogrande",             \
    "winogrande_xl", "validation", 1.0, false, build_winogrande)                                 \
  X("piqa", "piqa/validation.jsonl", "baber/piqa", NULL, "validation", 1.0, true, build_piqa)

#define TASK_KIND(name, file, dataset, subset, split, version, has_norm, build) \
  {name, file, dataset, subset, split, version, has_norm, build},
#define TASK_NAME(name, file, dataset, subset, split, version, has_norm, build) name,

static const lrp_task_kind kinds[] = {TASKS(TASK_KIND)};
static const char *const names[] = {TASKS(TASK_NAME)};

enum { n_kinds = sizeof kinds / sizeof kinds[0] };

const lrp_task_kind *lrp_task_find(const char *name) {
  for (int i = 0; i < n_kinds; i++) {
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  }
  return NULL;
}

const char *const *lrp_task_names(int *n) {
  *n = n_kinds;
  return names;
}
