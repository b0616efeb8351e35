#include <math.h>
#include <string.h>

#include "pipeline/choose.h"
#include "pipeline/page_parts.h"

static const json_t *rows_of(const lrp_page *page) {
  return json_object_get(page->choice, "rows");
}

static void write_table(lrp_page *page) {
  const char *columns[] = {"configuration", "kind",          "reduction, %",      "predicted loss",
                           "loss",          "held-out loss", "held-out score, %", NULL};
  size_t i;
  json_t *row;
  char kind[128];
  lrp_page_table_open(page, "What was proposed, beside the paper's list of layers", columns);
  json_array_foreach((json_t *)(uintptr_t)rows_of(page), i, row) {
    const char *list = lrp_page_string(row, "list");
    snprintf(kind, sizeof kind, "%.60s%s%.40s", lrp_page_string(row, "kind"), *list ? ", " : "",
             list);
    lrp_page_row_open(page, lrp_page_string(row, "configuration"));
    lrp_page_cell(page, kind);
    lrp_page_cell_value(page, lrp_page_number(row, "reduction_percent"), NAN, 1.0, 2);
    lrp_page_cell_value(page, lrp_page_number(row, "predicted_loss"),
                        lrp_page_number(row, "predicted_loss_stderr"), 1.0, 4);
    lrp_page_cell_value(page, lrp_page_number(row, "loss"), lrp_page_number(row, "loss_stderr"),
                        1.0, 4);
    lrp_page_cell_value(page, lrp_page_number(row, "held_out_loss"),
                        lrp_page_number(row, "held_out_loss_stderr"), 1.0, 4);
    lrp_page_cell_value(page, lrp_page_number(row, "held_out_score"),
                        lrp_page_number(row, "held_out_score_stderr"), 100.0, 1);
    lrp_page_row_close(page);
  }
  lrp_page_table_close(page);
}

void lrp_page_choice(lrp_page *page) {
  char target[LRP_MARKUP_NUMBER], title[96], verdict[LRP_VERDICT_SIZE];
  if (!page->choice || json_array_size(rows_of(page)) == 0) return;
  snprintf(title, sizeof title, "Chosen for a reduction of %s %%",
           lrp_markup_digits(target, lrp_page_number(page->choice, "target_percent"), 4));
  lrp_page_section_open(page, "choice", title);
  lrp_page_print(page, "<p><b>");
  lrp_markup_text(page->f, lrp_choice_verdict(page->choice, verdict));
  lrp_page_print(page, "</b></p>\n");
  lrp_page_print(
      page, "<p>Chosen by %s: ",
      strcmp(lrp_page_string(page->choice, "method"), "error") == 0 ? "error" : "sensitivity");
  lrp_markup_text(page->f, lrp_page_string(page->choice, "explanation"));
  lrp_page_print(page, "</p>\n");
  write_table(page);
  lrp_page_print(page,
                 "<p class=\"note\">Losses are increases over the dense model. The choice was "
                 "made by the loss on half of the documents and is compared on the other half, "
                 "which is held out.</p>\n");
  lrp_page_section_close(page);
}
