/** @file kernels/linalg/panel.h
 *  Parts of stored weights as float32 matrices for BLAS. */
#ifndef LRP_KERNELS_LINALG_PANEL_H
#define LRP_KERNELS_LINALG_PANEL_H

#include "kernels/matrix.h"

/** The block of rows x cols elements of w that begins at (i, j), as a view. Local. */
lrp_matrix lrp_panel(const lrp_matrix *w, int64_t i, int64_t j, int64_t rows, int64_t cols);

/** dst = panel in float32, row-major and dense. Local, on the OpenMP threads. */
void lrp_panel_to_f32(float *dst, const lrp_matrix *panel);

#endif
