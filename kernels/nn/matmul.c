#include "kernels/nn/matmul.h"

#include <assert.h>
#include <dnnl.h>
#include <pthread.h>
#include <string.h>

#include "kernels/nn/product.h"

/* Weight matrices of fewer elements are multiplied by lrp_product: oneDNN generates code for every
 * new number of rows, 0.15 to 0.35 ms measured, where such a product takes 0.01 to 0.1 ms. */
enum { small_weights = 1 << 16 };

/* oneDNN 2.6 has two float products. Its "brg" kernels (AVX-512, operands without gaps between the
 * rows) give rows that are bitwise independent of the other rows, their number and the threads:
 * tried for k and n from 1 to 2048, t from 1 to 512, 1 to 128 threads, with and without sum. All
 * others ("gemm:jit": any stride that is not dense, any processor without AVX-512) are not. So the
 * operands are made dense, and where oneDNN still picks another kernel, lrp_product computes. */
static const char reproducible[] = "brg";

/* The engine and its stream live as long as the process. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine;
static dnnl_stream_t stream;
static dnnl_status_t engine_status;

static void create_engine(void) {
  engine_status = dnnl_engine_create(&engine, dnnl_cpu, 0);
  if (engine_status != dnnl_success) return;
  engine_status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
}

void lrp_matmul_scratch_free(lrp_matmul_scratch *scratch) {
  lrp_buffer_free(&scratch->weights);
  lrp_buffer_free(&scratch->x);
  lrp_buffer_free(&scratch->y);
}

/* One product by oneDNN: src t x k, weights k x n (transposed view), dst t x n, all dense. */
typedef struct {
  int64_t t, n, k;
  bool accumulate;
  dnnl_memory_desc_t src, weights, dst;
  dnnl_primitive_desc_t desc;
  dnnl_primitive_t primitive;
  dnnl_memory_t memory[3];
} product;

/* Keep the first of several statuses, of calls that do not build on each other. */
static bool good(dnnl_status_t *st, dnnl_status_t next) {
  if (*st == dnnl_success) *st = next;
  return *st == dnnl_success;
}

static dnnl_status_t describe_operands(product *p) {
  const dnnl_dims_t src = {p->t, p->k}, weights = {p->k, p->n}, dst = {p->t, p->n};
  const dnnl_dims_t src_strides = {p->k, 1}, weights_strides = {1, p->k}, dst_strides = {p->n, 1};
  dnnl_status_t st = dnnl_success;
  good(&st, dnnl_memory_desc_init_by_strides(&p->src, 2, src, dnnl_f32, src_strides));
  good(&st, dnnl_memory_desc_init_by_strides(&p->weights, 2, weights, dnnl_f32, weights_strides));
  good(&st, dnnl_memory_desc_init_by_strides(&p->dst, 2, dst, dnnl_f32, dst_strides));
  return st;
}

/* attr = "dst += product" */
static dnnl_status_t append_sum(dnnl_primitive_attr_t attr) {
  dnnl_post_ops_t ops = NULL;
  dnnl_status_t st = dnnl_post_ops_create(&ops);
  if (st != dnnl_success) return st;
  good(&st, dnnl_post_ops_append_sum(ops, 1.0f));
  if (st == dnnl_success) good(&st, dnnl_primitive_attr_set_post_ops(attr, ops)); /* copies */
  good(&st, dnnl_post_ops_destroy(ops));
  return st;
}

static dnnl_status_t describe(product *p) {
  dnnl_matmul_desc_t operation;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_status_t st = describe_operands(p);
  if (st != dnnl_success) return st;
  st = dnnl_matmul_desc_init(&operation, &p->src, &p->weights, NULL, &p->dst);
  if (st != dnnl_success) return st;
  st = dnnl_primitive_attr_create(&attr);
  if (st != dnnl_success) return st;
  if (p->accumulate) st = append_sum(attr);
  if (st == dnnl_success) {
    st = dnnl_primitive_desc_create(&p->desc, &operation, attr, engine, NULL);
  }
  good(&st, dnnl_primitive_attr_destroy(attr));
  return st;
}

static bool is_reproducible(const product *p) {
  const char *name = NULL;
  return dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, (void *)&name) ==
             dnnl_success &&
         name && strncmp(name, reproducible, sizeof reproducible - 1) == 0;
}

static dnnl_status_t execute(product *p, const float *x, const float *w, float *y) {
  dnnl_status_t st = dnnl_primitive_create(&p->primitive, p->desc);
  if (st != dnnl_success) return st;
  st = dnnl_memory_create(&p->memory[0], &p->src, engine, (void *)x);
  if (st != dnnl_success) return st;
  st = dnnl_memory_create(&p->memory[1], &p->weights, engine, (void *)w);
  if (st != dnnl_success) return st;
  st = dnnl_memory_create(&p->memory[2], &p->dst, engine, y);
  if (st != dnnl_success) return st;
  const dnnl_exec_arg_t args[] = {
      {DNNL_ARG_SRC, p->memory[0]}, {DNNL_ARG_WEIGHTS, p->memory[1]}, {DNNL_ARG_DST, p->memory[2]}};
  st = dnnl_primitive_execute(p->primitive, stream, 3, args);
  if (st != dnnl_success) return st;
  return dnnl_stream_wait(stream);
}

static void release(product *p) {
  for (int i = 0; i < 3; i++) {
    if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
  }
  if (p->primitive) dnnl_primitive_destroy(p->primitive);
  if (p->desc) dnnl_primitive_desc_destroy(p->desc);
}

/* Dense operands. oneDNN caches what it generates for (t, n, k), so describing a product that was
 * seen before costs 3 to 8 us. */
static lrp_status dense_product(const float *x, int64_t t, const float *w, int64_t n, int64_t k,
                                float *y, bool accumulate) {
  product p = {.t = t, .n = n, .k = k, .accumulate = accumulate};
  bool done = false;
  pthread_once(&once, create_engine);
  dnnl_status_t st = engine_status;
  if (st == dnnl_success) st = describe(&p);
  if (st == dnnl_success && is_reproducible(&p)) {
    st = execute(&p, x, w, y);
    done = true;
  }
  release(&p);
  if (st == dnnl_unimplemented) st = dnnl_success; /* a processor that oneDNN has no kernel for */
  if (st == dnnl_out_of_memory) return lrp_fail_memory((size_t)(n * k) * sizeof *w, "oneDNN");
  if (st != dnnl_success) {
    return lrp_fail(LRP_ERR_BUG, "oneDNN status %d for the product %lld x %lld by (%lld x %lld)^T",
                    (int)st, (long long)t, (long long)k, (long long)n, (long long)k);
  }
  if (!done) lrp_product(x, t, k, w, n, k, k, y, n, accumulate);
  return LRP_OK;
}

/* Copy rows of cols floats; rows of src and dst are lds and ldd apart. */
static void copy_rows(const float *src, int64_t lds, float *dst, int64_t ldd, int64_t rows,
                      int64_t cols) {
#pragma omp parallel for if (rows * cols > small_weights)
  for (int64_t i = 0; i < rows; i++) {
    memcpy(dst + i * ldd, src + i * lds, (size_t)cols * sizeof *src);
  }
}

/* Dense operands by way of copies where x or y have gaps: the bits must not depend on strides. */
static lrp_status gapped_product(const float *x, int64_t t, int64_t ldx, const float *w, int64_t n,
                                 int64_t k, float *y, int64_t ldy, bool accumulate,
                                 lrp_matmul_scratch *scratch) {
  lrp_status st = LRP_OK;
  const float *dense_x = x;
  float *dense_y = y;
  if (ldx != k && t > 1) {
    st = lrp_buffer_floats(&scratch->x, t, k, "the operand of a product");
    if (st != LRP_OK) return st;
    copy_rows(x, ldx, scratch->x.data, k, t, k);
    dense_x = scratch->x.data;
  }
  if (ldy != n && t > 1) {
    st = lrp_buffer_floats(&scratch->y, t, n, "the result of a product");
    if (st != LRP_OK) return st;
    dense_y = scratch->y.data;
    if (accumulate) copy_rows(y, ldy, dense_y, n, t, n);
  }
  st = dense_product(dense_x, t, w, n, k, dense_y, accumulate);
  if (st == LRP_OK && dense_y != y) copy_rows(dense_y, n, y, ldy, t, n);
  return st;
}

/* Plain floats of w with rows *ld apart: in place where possible, else converted. */
static lrp_status plain_weights(const lrp_matrix *w, bool want_dense, lrp_buffer *buffer,
                                const float **plain, int64_t *ld) {
  *plain = lrp_matrix_f32(w);
  *ld = w->ld;
  if (*plain && (!want_dense || w->ld == w->cols || w->rows == 1)) return LRP_OK;
  const lrp_status st = lrp_buffer_floats(buffer, w->rows, w->cols, "converted weights");
  if (st != LRP_OK) return st;
  float *dst = buffer->data;
#pragma omp parallel for if (w->rows * w->cols > small_weights)
  for (int64_t i = 0; i < w->rows; i++) {
    lrp_to_f32(dst + i * w->cols, lrp_matrix_row(w, i), w->dtype, (size_t)w->cols);
  }
  *plain = dst;
  *ld = w->cols;
  return LRP_OK;
}

lrp_status lrp_matmul(const float *x, int64_t t, int64_t ldx, const lrp_matrix *w, float *y,
                      int64_t ldy, bool accumulate, lrp_matmul_scratch *scratch) {
  const int64_t n = w->rows;
  const int64_t k = w->cols;
  const bool small = n * k < small_weights;
  const float *plain = NULL;
  int64_t ld = 0;
  assert(t >= 0 && ldx >= k && ldy >= n && w->ld >= k);
  if (t <= 0 || n <= 0) return LRP_OK;
  if (k <= 0) { /* an empty sum */
    for (int64_t i = 0; i < t && !accumulate; i++) memset(y + i * ldy, 0, (size_t)n * sizeof *y);
    return LRP_OK;
  }
  const lrp_status st = plain_weights(w, !small, &scratch->weights, &plain, &ld);
  if (st != LRP_OK) return st;
  if (!small) return gapped_product(x, t, ldx, plain, n, k, y, ldy, accumulate, scratch);
  lrp_product(x, t, ldx, plain, n, k, ld, y, ldy, accumulate);
  return LRP_OK;
}
