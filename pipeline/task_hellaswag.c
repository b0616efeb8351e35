/* HellaSwag, whose rows need cleaning. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/python_text.h"
#include "pipeline/task_parts.h"

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
  lrp_text_replace(text, " [title]", ". ");
  delete_brackets(text);
  lrp_text_replace(text, "  ", " ");
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

lrp_status lrp_build_hellaswag(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data->rows;
  json_t *endings, *choices = NULL, *shown = NULL;
  char *query = NULL;
  int64_t gold = 0;

  lrp_status st = hellaswag_query(data, row, &query);
  if (st == LRP_OK) st = lrp_task_texts(data, row, "endings", &endings);
  if (st == LRP_OK) st = lrp_jsonl_integer(data, row, "label", &gold);
  if (st == LRP_OK) st = hellaswag_choices(endings, &choices);
  if (st == LRP_OK) st = hellaswag_shown(data->rows[row], query, choices, gold, &shown);
  if (st == LRP_OK) st = lrp_task_add_question(task, row, query, choices, gold, shown);
  json_decref(shown);
  json_decref(choices);
  free(query);
  return st;
}
