#include <math.h>
#include <string.h>

#include "pipeline/page_parts.h"
#include "pipeline/paper_points.h"

const char *lrp_page_model_name(const lrp_page *page) {
  const char *directory = lrp_page_string(json_object_get(page->provenance, "model"), "directory");
  const char *name = directory, *above = directory;
  for (const char *p = directory; *p; p++) {
    if (*p != '/' || p[1] == '\0' || p[1] == '/') continue;
    above = name;
    name = p + 1;
  }
  if (strcmp(name, "model") == 0) name = above; /* demo/model */
  return *name ? name : "a model";
}

static void tile(lrp_page *page, const char *term, const char *big, const char *sub) {
  lrp_page_print(page, "<div>");
  lrp_page_element(page, "dt", NULL, term);
  lrp_page_element(page, "dd", "big", big);
  if (*sub) lrp_page_element(page, "dd", "sub", sub);
  lrp_page_print(page, "</div>\n");
}

/* "6.74 billion" of a large model, every digit of a small one. */
static void tile_size(lrp_page *page) {
  const json_t *first = json_array_get(page->rows, 0), *dense = lrp_page_dense(page->rows);
  const double parameters = lrp_page_number(first, "parameters_dense");
  const bool large = parameters >= 1e7;
  char count[LRP_MARKUP_NUMBER], number[LRP_MARKUP_NUMBER], big[LRP_MARKUP_NUMBER + 16];
  char bytes[LRP_MARKUP_NUMBER], sub[160] = "";
  int n = 0;

  if (!(parameters >= 0.0 && parameters < 1e18)) return;
  lrp_markup_count(count, (int64_t)parameters);
  snprintf(big, sizeof big, "%s", count);
  if (large) {
    const bool billions = parameters >= 1e9;
    snprintf(big, sizeof big, "%s %s",
             lrp_markup_digits(number, parameters / (billions ? 1e9 : 1e6), 3),
             billions ? "billion" : "million");
    n = snprintf(sub, sizeof sub, "%s%s", count, dense ? ", " : "");
  }
  if (dense) {
    snprintf(sub + n, sizeof sub - (size_t)n, "%s of weights as it is",
             lrp_markup_unit(bytes, lrp_page_number(dense, "bytes"), "B"));
  }
  tile(page, "Parameters", big, sub);
}

static void tile_configurations(lrp_page *page) {
  lrp_svg_range range = LRP_SVG_EMPTY;
  char big[LRP_MARKUP_NUMBER], low[LRP_MARKUP_NUMBER], high[LRP_MARKUP_NUMBER], sub[128] = "";
  size_t i;
  json_t *row;
  json_array_foreach((json_t *)(uintptr_t)page->rows, i, row) {
    const double x = lrp_page_number(row, "reduction_percent");
    if (x != 0.0) lrp_svg_range_add(&range, x);
  }
  if (!lrp_svg_range_is_empty(&range)) {
    snprintf(sub, sizeof sub, "%s to %s\xc2\xa0%% fewer parameters",
             lrp_markup_digits(low, range.low, 3), lrp_markup_digits(high, range.high, 3));
  }
  tile(page, "Configurations", lrp_markup_count(big, (int64_t)json_array_size(page->rows)), sub);
}

static void tile_dense_score(lrp_page *page) {
  const json_t *dense = lrp_page_dense(page->rows);
  const double score = lrp_page_number(dense, "score");
  const double error = lrp_page_number(dense, "score_stderr");
  const size_t tasks = json_array_size(page->tasks);
  char number[LRP_MARKUP_NUMBER], big[LRP_MARKUP_NUMBER + 8], sub[96] = "", margin[32] = "";
  if (!isfinite(score)) return;
  snprintf(big, sizeof big, "%s %%", lrp_markup_fixed(number, 100.0 * score, 1));
  if (isfinite(error)) snprintf(margin, sizeof margin, "\xc2\xb1 %.1f, ", 100.0 * error);
  snprintf(sub, sizeof sub, "%s%zu benchmark%s", margin, tasks, tasks == 1 ? "" : "s");
  tile(page, "Score of the dense model", big, sub);
}

/* The best score at the size, of 4 to 14 %, that is nearest to the paper's sweet spot. */
static const json_t *best_near_9(const json_t *rows) {
  const double wanted = 9.0, reach = 5.0, width = 0.5;
  double size = INFINITY;
  const json_t *best = NULL;
  size_t i;
  json_t *row, *all = (json_t *)(uintptr_t)rows;
  json_array_foreach(all, i, row) {
    const double reduction = lrp_page_number(row, "reduction_percent");
    if (!isfinite(lrp_page_number(row, "score"))) continue;
    if (fabs(reduction - wanted) < fabs(size - wanted)) size = reduction;
  }
  if (!(fabs(size - wanted) <= reach)) return NULL;
  json_array_foreach(all, i, row) {
    const double reduction = lrp_page_number(row, "reduction_percent");
    const double score = lrp_page_number(row, "score");
    if (!(fabs(reduction - size) <= width) || !isfinite(score)) continue;
    if (!best || score > lrp_page_number(best, "score")) best = row;
  }
  return best;
}

static void tile_loss(lrp_page *page) {
  const json_t *dense = lrp_page_dense(page->rows), *best = best_near_9(page->rows);
  const double score = lrp_page_number(best, "score"), full = lrp_page_number(dense, "score");
  const double reduction = lrp_page_number(best, "reduction_percent");
  char big[LRP_MARKUP_NUMBER], number[LRP_MARKUP_NUMBER], sub[384];
  if (!isfinite(score) || !isfinite(full)) return;
  snprintf(sub, sizeof sub, "%.300s, %s\xc2\xa0%% smaller", lrp_page_string(best, "configuration"),
           lrp_markup_digits(number, reduction, 3));
  tile(page, "Least loss at about 9\xc2\xa0%", lrp_page_points(big, 100.0 * (score - full)), sub);
}

static void tile_latency(lrp_page *page) {
  const json_t *slopes = json_object_get(page->efficiency, "slopes");
  char number[LRP_MARKUP_NUMBER], big[LRP_MARKUP_NUMBER + 8], sub[96];
  size_t i;
  json_t *slope;
  json_array_foreach(slopes, i, slope) {
    const double percent = lrp_page_number(slope, "percent_per_percent");
    const double error = lrp_page_number(slope, "stderr");
    char margin[32] = "";
    if (strcmp(lrp_page_string(slope, "quantity"), "prefill_seconds") != 0) continue;
    if (!isfinite(percent)) continue;
    snprintf(big, sizeof big, "%s %%", lrp_markup_fixed(number, percent, 2));
    if (isfinite(error)) snprintf(margin, sizeof margin, "\xc2\xb1 %.2f, ", error);
    snprintf(sub, sizeof sub, "%sper 1\xc2\xa0%% of parameters; %.2f in the paper", margin,
             lrp_paper_savings_of(LRP_PAPER_LATENCY).slope);
    tile(page, "Prefill latency saved", big, sub);
    return;
  }
}

static void write_date(lrp_page *page) {
  const char *started = lrp_page_string(page->provenance, "started");
  const char *version = lrp_page_string(page->provenance, "lrpipe");
  if (!*started) return;
  lrp_page_print(page, "<p class=\"note\">Run of %.*s with lrpipe ", (int)strcspn(started, "T<>&"),
                 started);
  lrp_markup_text(page->f, version);
  lrp_page_print(page, ".</p>\n");
}

static void write_lead(lrp_page *page) {
  lrp_page_print(page, "<p class=\"lead\">Low-rank decomposition of <b>");
  lrp_markup_text(page->f, lrp_page_model_name(page));
  lrp_page_print(page, "</b>: ");
  if (page->tasks) {
    size_t i;
    json_t *task;
    lrp_page_print(page, "what size costs on ");
    json_array_foreach((json_t *)(uintptr_t)page->tasks, i, task) {
      const char *name = lrp_page_task_title(lrp_page_string(task, "name"));
      const char *between = i == 0 ? "" : i + 1 == json_array_size(page->tasks) ? " and " : ", ";
      lrp_page_print(page, "%s", between);
      lrp_markup_text(page->f, name);
    }
  } else {
    lrp_page_print(page, "sizes and errors; nothing was evaluated");
  }
  if (page->efficiency) lrp_page_print(page, ", and what it saves in time, energy and memory");
  lrp_page_print(page, ".</p>\n");
  write_date(page);
}

static void link_to(lrp_page *page, bool there, const char *id, const char *text) {
  if (!there) return;
  lrp_page_print(page, "<li><a href=\"#%s\">", id);
  lrp_markup_text(page->f, text);
  lrp_page_print(page, "</a></li>\n");
}

static void write_contents(lrp_page *page) {
  lrp_page_print(page, "<nav aria-label=\"Sections\">\n<ul>\n");
  link_to(page, lrp_page_has_scores(page), "accuracy", "Accuracy");
  link_to(page, page->choice, "choice", "Choice");
  link_to(page, page->efficiency, "efficiency", "Latency, energy, memory");
  link_to(page, lrp_page_has_sensitivity(page), "sensitivity", "Sensitivity");
  link_to(page, lrp_page_has_spectra(page), "spectra", "Spectra");
  link_to(page, page->tensors, "tensors", "Tensors");
  link_to(page, page->rows, "configurations", "Configurations");
  link_to(page, page->provenance, "provenance", "Provenance");
  lrp_page_print(page, "</ul>\n</nav>\n");
}

void lrp_page_head(lrp_page *page) {
  lrp_page_print(page, "<header>\n<h1>");
  lrp_markup_text(page->f, lrp_page_model_name(page));
  lrp_page_print(page, ": %s against size</h1>\n", page->tasks ? "accuracy" : "error");
  write_lead(page);
  lrp_page_print(page, "<dl class=\"tiles\">\n");
  if (page->rows) {
    tile_size(page);
    tile_configurations(page);
    tile_dense_score(page);
    tile_loss(page);
    tile_latency(page);
  }
  lrp_page_print(page, "</dl>\n");
  write_contents(page);
  lrp_page_print(page, "</header>\n");
}
