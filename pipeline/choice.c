#include "pipeline/choice.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"

enum { json_bytes_max = 1 << 24 };

/* The member of rows that is about the configuration, or NULL. */
static const json_t *find_row(const json_t *rows, const char *configuration) {
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    const char *name = json_string_value(json_object_get(row, "configuration"));
    if (name && strcmp(name, configuration) == 0) return row;
  }
  return NULL;
}

/* Whether the job still has what was chosen: another configuration may bear the name. */
static bool is_there(const json_t *choice, const json_t *rows) {
  const char *name = json_string_value(json_object_get(choice, "configuration"));
  const json_t *row = name ? find_row(rows, name) : NULL;
  const double now = json_number_value(json_object_get(row, "reduction_percent"));
  const double then = json_number_value(json_object_get(choice, "reduction_percent"));
  return row && fabs(now - then) < 1e-6;
}

/* What was measured; null where nothing was. */
static void add_measured(json_t *choice, const json_t *sensitivity) {
  static const char *const keys[] = {"loss",           "loss_stderr",
                                     "held_out_loss",  "held_out_loss_stderr",
                                     "held_out_score", "held_out_score_stderr"};
  const char *name = json_string_value(json_object_get(choice, "configuration"));
  const json_t *row = find_row(json_object_get(sensitivity, "configurations"), name);

  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    json_t *value = json_object_get(row, keys[i]);
    json_object_set_new(choice, keys[i], value ? json_incref(value) : json_null());
  }
}

/* Keep what the job still has. */
static void complete_rows(json_t *proposed, const json_t *sensitivity, const json_t *rows) {
  for (size_t i = json_array_size(proposed); i-- > 0;) {
    json_t *row = json_array_get(proposed, i);
    if (is_there(row, rows)) {
      add_measured(row, sensitivity);
    } else {
      json_array_remove(proposed, i);
    }
  }
}

/* ---- decision ---- */

/* The candidate that lost least, the first one if none was measured; NULL if one of them is gone.
 */
static const json_t *decide(const json_t *question, const json_t *proposed) {
  const json_t *names = json_object_get(question, "candidates"), *best = NULL;
  double least = INFINITY;

  for (size_t i = 0; i < json_array_size(names); i++) {
    const char *name = json_string_value(json_array_get(names, i));
    const json_t *row = name ? find_row(proposed, name) : NULL;
    const json_t *loss = json_object_get(row, "loss");
    if (!row) return NULL;
    if (!best) best = row;
    if (!json_is_number(loss) || json_number_value(loss) >= least) continue;
    least = json_number_value(loss);
    best = row;
  }
  return best;
}

/* Append what the question chooses, unless an earlier one chose the same. */
static void answer(const json_t *question, const json_t *proposed, json_t *out) {
  const json_t *best = decide(question, proposed);
  const char *name = json_string_value(json_object_get(best, "configuration"));
  json_t *kind = json_object_get(question, "kind"), *list = json_object_get(question, "list");

  if (!best || !json_is_string(kind) || find_row(out, name)) return;
  json_t *row = json_copy((json_t *)(uintptr_t)best);
  json_object_set(row, "kind", kind);
  json_object_set(row, "list", list ? list : json_null());
  json_array_append_new(out, row);
}

static bool is_paper(const json_t *row) {
  const char *kind = json_string_value(json_object_get(row, "kind"));
  return kind && strcmp(kind, "paper") == 0;
}

/* The rows as they are shown: what was chosen, the paper's lists, and the other candidates. NULL if
 * the first question has no answer. */
static json_t *shown_rows(const json_t *choice) {
  const json_t *proposed = json_object_get(choice, "rows");
  const json_t *questions = json_object_get(choice, "choices");
  json_t *out = json_array(), *others = json_array();

  for (size_t i = 0; i < json_array_size(questions); i++) {
    answer(json_array_get(questions, i), proposed, out);
    if (json_array_size(out) == 0) break;
  }
  const bool chosen = json_array_size(out) > 0;
  for (size_t i = 0; i < json_array_size(proposed); i++) {
    json_t *row = json_array_get(proposed, i);
    const char *name = json_string_value(json_object_get(row, "configuration"));
    if (!is_paper(row) && find_row(out, name)) continue;
    json_array_append(others, row);
  }
  json_array_extend(out, others);
  json_decref(others);
  if (chosen) return out;
  json_decref(out);
  return NULL;
}

/* Whether something of the choice is left to show. */
static bool complete(json_t *choice, const json_t *sensitivity, const json_t *rows) {
  complete_rows(json_object_get(choice, "rows"), sensitivity, rows);
  json_t *shown = shown_rows(choice);
  return shown && json_object_set_new(choice, "rows", shown) == 0;
}

lrp_status lrp_choice_report(const char *output, const json_t *sensitivity, const json_t *rows,
                             json_t **out) {
  char *path = lrp_path_join(output, "choice.json"), *text = NULL;
  size_t size;
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;

  *out = json_null();
  if (st == LRP_OK && lrp_file_exists(path)) {
    st = lrp_file_read(path, json_bytes_max, &text, &size);
    json_t *choice = st == LRP_OK ? json_loadb(text, size, 0, NULL) : NULL;
    if (st == LRP_OK && !json_is_object(choice)) {
      st = lrp_json_checked(
          lrp_fail(LRP_ERR_DATA, "%s: is damaged; remove it, and choose again", path));
    }
    if (st == LRP_OK && complete(choice, sensitivity, rows)) {
      *out = choice;
    } else {
      json_decref(choice);
    }
  }
  free(text);
  free(path);
  return lrp_json_checked(st);
}

lrp_status lrp_choice_is_reported(const char *output, const json_t *tradeoff, bool *reported) {
  json_t *now = NULL;
  const lrp_status st = lrp_choice_report(output, json_object_get(tradeoff, "sensitivity"),
                                          json_object_get(tradeoff, "configurations"), &now);

  *reported = st == LRP_OK && json_equal(now, json_object_get(tradeoff, "choice"));
  json_decref(now);
  return st;
}
