#include "kernels/linalg/gram.h"

#include <string.h>

#include "kernels/linalg/bf16.h"
#include "kernels/linalg/bf16_gram.h"
#include "kernels/linalg/lapack.h"
#include "kernels/linalg/panel.h"

/* Rows or columns of W in float32 at a time: deep enough for ssyrk to run at its full speed. */
enum { depth = 384 };

/* g += panel^T panel for rows of a tall W, panel panel^T for columns of a wide one. Row-major
 * panels are the column-major transposes of themselves. */
static void add_panel(const float *panel, bool wide, int k, int count, float *g) {
  const float one = 1.0f;
  ssyrk_("L", wide ? "T" : "N", &k, &count, &one, panel, wide ? &count : &k, &one, g, &k, 1, 1);
}

lrp_status lrp_f32_gram(const lrp_matrix *w, float *g, lrp_scratch *scratch) {
  const bool wide = w->rows < w->cols;
  const int64_t k = wide ? w->rows : w->cols;
  const int64_t length = wide ? w->cols : w->rows;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;

  float *f = lrp_scratch_take(scratch, &st, depth, k, sizeof *f);
  if (st == LRP_OK) memset(g, 0, (size_t)k * (size_t)k * sizeof *g);
  for (int64_t i = 0; st == LRP_OK && i < length; i += depth) {
    const int64_t count = length - i < depth ? length - i : depth;
    const lrp_matrix panel = wide ? lrp_panel(w, 0, i, k, count) : lrp_panel(w, i, 0, count, k);
    lrp_panel_to_f32(f, &panel);
    add_panel(f, wide, (int)k, (int)count, g);
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

/* Weights in float16 are exact as sums of two in bfloat16, but the three products of their terms
 * cost more than one product in float32, which takes twice the time of one in bfloat16. */
lrp_status lrp_gram(const lrp_matrix *w, float *g, lrp_scratch *scratch) {
  if (w->dtype == LRP_BF16 && lrp_bf16_available()) return lrp_bf16_gram(w, g, scratch);
  return lrp_f32_gram(w, g, scratch);
}
