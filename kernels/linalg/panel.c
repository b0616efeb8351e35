#include "kernels/linalg/panel.h"

lrp_matrix lrp_panel(const lrp_matrix *w, int64_t i, int64_t j, int64_t rows, int64_t cols) {
  lrp_matrix panel = *w;
  panel.data = (const char *)lrp_matrix_row(w, i) + (size_t)j * lrp_dtype_size(w->dtype);
  panel.rows = rows;
  panel.cols = cols;
  return panel;
}

void lrp_panel_to_f32(float *dst, const lrp_matrix *panel) {
  const int64_t rows = panel->rows, cols = panel->cols;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; i++) {
    lrp_to_f32(dst + i * cols, lrp_matrix_row(panel, i), panel->dtype, (size_t)cols);
  }
}
