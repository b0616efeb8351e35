#include "kernels/nn/onednn.h"

#include <dnnl.h>
#include <pthread.h>
#include <string.h>

/* oneDNN 2.6 has two kinds of products. Its "brg" kernels (AVX-512, operands without gaps between
 * the rows) give rows that are bitwise independent of the other rows, their number, addresses and
 * the threads: tried in float32 and bfloat16 for k and n from 1 to 4096, t from 1 to 512, 1 to 128
 * threads, with and without sum, on a processor without AMX. All others ("gemm:jit": any stride
 * that is not dense, any processor without AVX-512) are not. */
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

bool lrp_onednn_has_bf16(void) {
  const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
  const unsigned wanted = dnnl_cpu_isa_avx512_core_bf16; /* sets of bits; that of amx holds it */
  return (isa & wanted) == wanted;
}

/* What oneDNN makes of a product: src t x k, weights k x n (transposed view), dst t x n. */
typedef struct {
  dnnl_memory_desc_t src, weights, dst;
  dnnl_primitive_desc_t desc;
  dnnl_primitive_t primitive;
  dnnl_memory_t memory[3];
} state;

/* Keep the first of several statuses, of calls that do not build on each other. */
static bool good(dnnl_status_t *st, dnnl_status_t next) {
  if (*st == dnnl_success) *st = next;
  return *st == dnnl_success;
}

static dnnl_status_t describe_operands(const lrp_dense_product *p, state *s) {
  const dnnl_data_type_t type = p->operands == LRP_BF16 ? dnnl_bf16 : dnnl_f32;
  const dnnl_format_tag_t tiles = p->operands == LRP_BF16 ? dnnl_BA16a64b2a : dnnl_BA16a64b;
  const dnnl_dims_t src = {p->t, p->k}, weights = {p->k, p->n}, dst = {p->t, p->n};
  dnnl_status_t st = dnnl_success;
  good(&st, dnnl_memory_desc_init_by_tag(&s->src, 2, src, type, dnnl_ab));
  good(&st,
       dnnl_memory_desc_init_by_tag(&s->weights, 2, weights, type, p->packed ? tiles : dnnl_ba));
  good(&st, dnnl_memory_desc_init_by_tag(&s->dst, 2, dst, dnnl_f32, dnnl_ab));
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

static dnnl_status_t describe(const lrp_dense_product *p, state *s) {
  dnnl_matmul_desc_t operation;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_status_t st = describe_operands(p, s);
  if (st != dnnl_success) return st;
  st = dnnl_matmul_desc_init(&operation, &s->src, &s->weights, NULL, &s->dst);
  if (st != dnnl_success) return st;
  st = dnnl_primitive_attr_create(&attr);
  if (st != dnnl_success) return st;
  if (p->accumulate) st = append_sum(attr);
  if (st == dnnl_success) {
    st = dnnl_primitive_desc_create(&s->desc, &operation, attr, engine, NULL);
  }
  good(&st, dnnl_primitive_attr_destroy(attr));
  return st;
}

static bool is_reproducible(const state *s) {
  const char *name = NULL;
  return dnnl_primitive_desc_query(s->desc, dnnl_query_impl_info_str, 0, (void *)&name) ==
             dnnl_success &&
         name && strncmp(name, reproducible, sizeof reproducible - 1) == 0;
}

static dnnl_status_t execute(state *s, const void *x, const void *w, float *y) {
  dnnl_status_t st = dnnl_primitive_create(&s->primitive, s->desc);
  if (st != dnnl_success) return st;
  st = dnnl_memory_create(&s->memory[0], &s->src, engine, (void *)(uintptr_t)x);
  if (st != dnnl_success) return st;
  st = dnnl_memory_create(&s->memory[1], &s->weights, engine, (void *)(uintptr_t)w);
  if (st != dnnl_success) return st;
  st = dnnl_memory_create(&s->memory[2], &s->dst, engine, y);
  if (st != dnnl_success) return st;
  const dnnl_exec_arg_t args[] = {
      {DNNL_ARG_SRC, s->memory[0]}, {DNNL_ARG_WEIGHTS, s->memory[1]}, {DNNL_ARG_DST, s->memory[2]}};
  st = dnnl_primitive_execute(s->primitive, stream, 3, args);
  if (st != dnnl_success) return st;
  return dnnl_stream_wait(stream);
}

static void release(state *s) {
  for (int i = 0; i < 3; i++) {
    if (s->memory[i]) dnnl_memory_destroy(s->memory[i]);
  }
  if (s->primitive) dnnl_primitive_destroy(s->primitive);
  if (s->desc) dnnl_primitive_desc_destroy(s->desc);
}

bool lrp_onednn_can(const lrp_dense_product *product) {
  state s = {0};
  pthread_once(&once, create_engine);
  const bool can =
      engine_status == dnnl_success && describe(product, &s) == dnnl_success && is_reproducible(&s);
  release(&s);
  return can;
}

/* oneDNN caches what it generates for (t, n, k), so describing a product that was seen before costs
 * 3 to 8 us. */
lrp_status lrp_onednn_product(const lrp_dense_product *product, const void *x, const void *w,
                              float *y, bool *done) {
  const lrp_dense_product *p = product;
  state s = {0};
  *done = false;
  pthread_once(&once, create_engine);
  dnnl_status_t st = engine_status;
  if (st == dnnl_success) st = describe(p, &s);
  if (st == dnnl_success && is_reproducible(&s)) {
    st = execute(&s, x, w, y);
    *done = true;
  }
  release(&s);
  if (st == dnnl_success) return LRP_OK;
  if (st == dnnl_unimplemented && !*done) return LRP_OK; /* a processor without a kernel for it */
  if (st == dnnl_out_of_memory) {
    return lrp_fail_memory((size_t)(p->n * p->k) * lrp_dtype_size(p->operands), "oneDNN");
  }
  return lrp_fail(LRP_ERR_BUG, "oneDNN status %d for the %s product %lld x %lld by (%lld x %lld)^T",
                  (int)st, lrp_dtype_name(p->operands), (long long)p->t, (long long)p->k,
                  (long long)p->n, (long long)p->k);
}
