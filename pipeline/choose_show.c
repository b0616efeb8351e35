/* The comparison that lrpipe choose prints: a part of pipeline/choose.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/base/file.h"
#include "pipeline/choose.h"
#include "pipeline/choose_names.h"
#include "pipeline/report.h"

enum { cell_size = 32 };

static const char *text_of(const json_t *row, const char *key) {
  const char *text = json_string_value(json_object_get(row, key));
  return text ? text : "";
}

static double number_of(const json_t *row, const char *key) {
  const json_t *value = json_object_get(row, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

/* ---- table ---- */

/* "0.0201 +- 0.0042", "0.0201" without an error, "-" without a value. */
static const char *cell(const json_t *row, const char *key, char text[cell_size]) {
  char error_key[64];
  snprintf(error_key, sizeof error_key, "%s_stderr", key);
  const double value = number_of(row, key), error = number_of(row, error_key);

  if (isnan(value)) return "-";
  if (isnan(error)) {
    snprintf(text, cell_size, "%.4f", value);
  } else {
    snprintf(text, cell_size, "%.4f +- %.4f", value, error);
  }
  return text;
}

static void print_row(const json_t *row) {
  char predicted[cell_size], loss[cell_size], held_out[cell_size], score[cell_size], kind[64];

  snprintf(kind, sizeof kind, "%s%s%s", text_of(row, "kind"), *text_of(row, "list") ? ", " : "",
           text_of(row, "list"));
  printf("%-20s %-23s %11.4f %17s %17s %17s %17s\n", text_of(row, "configuration"), kind,
         number_of(row, "reduction_percent"), cell(row, "predicted_loss", predicted),
         cell(row, "loss", loss), cell(row, "held_out_loss", held_out),
         cell(row, "held_out_score", score));
}

static void print_choice(const json_t *choice) {
  const json_t *rows = json_object_get(choice, "rows");
  char verdict[LRP_VERDICT_SIZE];

  printf("\nchosen for %g %% by %s: %s\n\n", number_of(choice, "target_percent"),
         text_of(choice, "method"), text_of(choice, "explanation"));
  printf("%-20s %-23s %11s %17s %17s %17s %17s\n", "configuration", "kind", "reduction_%",
         "predicted_loss", "loss", "held_out_loss", "held_out_score");
  for (size_t i = 0; i < json_array_size(rows); i++) print_row(json_array_get(rows, i));
  printf("\n%s\n", lrp_choice_verdict(choice, verdict));
}

lrp_status lrp_choice_print(const char *output) {
  json_t *all = NULL;
  lrp_status st = lrp_report_read(output, &all);
  const json_t *choice = json_object_get(all, "choice");

  if (st == LRP_OK && !json_is_object(choice)) {
    st = lrp_fail(LRP_ERR_DATA, "%s/tradeoff.json: holds no choice; remove it, and choose again",
                  output);
  }
  if (st == LRP_OK) {
    print_choice(choice);
    st = lrp_stdout_flush();
  }
  json_decref(all);
  return st;
}

/* ---- verdict ---- */

/* How many candidates there were for what the row was chosen for. */
static size_t competitors(const json_t *choice, const json_t *row) {
  const json_t *choices = json_object_get(choice, "choices");

  for (size_t i = 0; i < json_array_size(choices); i++) {
    const json_t *one = json_array_get(choices, i);
    if (strcmp(text_of(one, "kind"), text_of(row, "kind")) != 0) continue;
    return json_array_size(json_object_get(one, "candidates"));
  }
  return 0;
}

/* The paper's list is a candidate, too. */
static void say_same(const json_t *choice, const json_t *chosen, const json_t *paper,
                     char text[LRP_VERDICT_SIZE]) {
  const double held_out = number_of(chosen, "held_out_loss");
  const size_t n = competitors(choice, chosen);

  if (n > 1 && !isnan(held_out) && !isnan(number_of(chosen, "loss"))) {
    snprintf(text, LRP_VERDICT_SIZE,
             "The paper's list %s (%s, %.2f %% smaller) was the best that was found: of %zu "
             "candidates it lost least on documents of even index. Held out, its loss is %.4f.",
             text_of(paper, "list"), text_of(paper, "configuration"),
             number_of(paper, "reduction_percent"), n, held_out);
  } else {
    snprintf(text, LRP_VERDICT_SIZE, "What was chosen is the paper's list %s itself.",
             text_of(paper, "list"));
  }
}

static const json_t *find_kind(const json_t *choice, const char *kind) {
  const json_t *rows = json_object_get(choice, "rows");

  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *row = json_array_get(rows, i);
    if (strcmp(text_of(row, "kind"), kind) == 0) return row;
  }
  return NULL;
}

/* Two configurations whose loss was measured. */
static void compare(const json_t *chosen, const json_t *paper, char text[LRP_VERDICT_SIZE]) {
  const double a = number_of(chosen, "held_out_loss"), b = number_of(paper, "held_out_loss");
  const double error =
      hypot(number_of(chosen, "held_out_loss_stderr"), number_of(paper, "held_out_loss_stderr"));
  const double size = number_of(chosen, "reduction_percent");
  const double size_of_paper = number_of(paper, "reduction_percent");
  const double difference = a - b;
  char how[cell_size] = "";

  if (isnan(error)) {
    snprintf(text, LRP_VERDICT_SIZE,
             "Held out, %s has a loss of %.4f and the paper's list %s of %.4f; too few documents "
             "for standard errors.",
             text_of(chosen, "configuration"), a, text_of(paper, "configuration"), b);
    return;
  }
  snprintf(how, sizeof how, "%s",
           fabs(difference) <= error ? "within one standard error of"
           : difference < 0.0        ? "better than"
                                     : "worse than");
  snprintf(text, LRP_VERDICT_SIZE,
           "Held out, %s (%.2f %% smaller) is %s the paper's list %s (%s, %.2f %% smaller): its "
           "loss is %.4f against %.4f, a difference of %+.4f +- %.4f.%s",
           text_of(chosen, "configuration"), size, how, text_of(paper, "list"),
           text_of(paper, "configuration"), size_of_paper, a, b, difference, error,
           fabs(size - size_of_paper) > LRP_SAME_SIZE_PERCENT ? " Their sizes differ." : "");
}

/* Behind the verdict: that the prediction was too low by more than two standard errors. */
static void add_surprise(const json_t *chosen, char text[LRP_VERDICT_SIZE]) {
  const double found = number_of(chosen, "held_out_loss");
  const double predicted = number_of(chosen, "predicted_loss");
  const double error =
      hypot(number_of(chosen, "held_out_loss_stderr"), number_of(chosen, "predicted_loss_stderr"));
  const size_t at = strlen(text);

  if (!(found - predicted > 2.0 * error)) return; /* nor where one of them is not known */
  snprintf(text + at, LRP_VERDICT_SIZE - at,
           " %s loses %.4f, more than the %.4f that was predicted: losses of its layers do not "
           "just add up.",
           text_of(chosen, "configuration"), found, predicted);
}

const char *lrp_choice_verdict(const json_t *choice, char text[LRP_VERDICT_SIZE]) {
  const json_t *wanted = find_kind(choice, "chosen"), *paper = find_kind(choice, "paper");
  const json_t *chosen = find_kind(choice, "chosen at its size"); /* equal sizes are fairer */

  if (!chosen) chosen = wanted;
  if (!chosen || !paper) {
    snprintf(text, LRP_VERDICT_SIZE, "There is no list of the paper to compare with.");
  } else if (strcmp(text_of(chosen, "configuration"), text_of(paper, "configuration")) == 0) {
    say_same(choice, chosen, paper, text);
  } else if (isnan(number_of(chosen, "held_out_loss")) ||
             isnan(number_of(paper, "held_out_loss"))) {
    snprintf(text, LRP_VERDICT_SIZE,
             "Which of them loses less was not measured: that takes a dense configuration in the "
             "job, and tasks with documents of odd index.");
  } else {
    compare(chosen, paper, text);
    add_surprise(chosen, text);
  }
  if (wanted && wanted != chosen) add_surprise(wanted, text);
  return text;
}
